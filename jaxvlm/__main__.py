"""``python -m jaxvlm``: the command ``jaxvlm``."""

from jaxvlm.command.programs import main

if __name__ == "__main__":
    main()
