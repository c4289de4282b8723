"""Code that nobody should trust: each function is a sandbox entry that tries to break one promise."""
