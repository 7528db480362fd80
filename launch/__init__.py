"""Command-line programs: python -m launch.NAME, or jaxvlm-NAME once installed."""
