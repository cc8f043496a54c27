"""`python -m mmsearch.cli`: the command line for launchers that start a module, such as torchrun."""

from .main import main

main()
