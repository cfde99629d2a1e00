"""Where the ``tas`` program begins, also as ``python -m tas_cli``; imports nothing before it can be interrupted."""

import sys


def main() -> None:
    """Run the command line; an interrupt is one line and exit code 130 from the beginning, imports included."""
    try:
        from tas_cli.main import main as run

        run()
    except KeyboardInterrupt:
        print("tas: interrupted", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
