"""What every command is made of: lazy groups, types of parameters, tables."""
