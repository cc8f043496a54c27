"""`python -m mmsearch`: the command line, for launchers that start a module, such as torchrun."""

from mmsearch.cli.main import main

if __name__ == "__main__":
    main()
