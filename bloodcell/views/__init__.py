"""Numbers in, figures, tables and widgets out."""
