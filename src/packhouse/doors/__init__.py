"""How the world comes in: parse, call one thing below, render."""
