"""This installation as the OpenID provider of command lines: who asks, who approved it, what is given out."""
