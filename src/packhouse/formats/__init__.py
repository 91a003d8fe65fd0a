"""Package formats behind one small interface."""
