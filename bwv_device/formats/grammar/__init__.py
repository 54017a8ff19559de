"""The grammar of everything signed: one class a form, decoded once, at the border."""
