"""What is done with pictures before they are encoded: letters drawn, the view watched."""
