"""The command ``jaxvlm PROGRAM``."""
