import sys


def sentence():
    """Start; returns what hinders that, None when nothing did."""
    if sys.version_info < (3, 11):
        return f"Python 3.11 or newer is needed, and this is {sys.version_info[0]}.{sys.version_info[1]}"
    asked = sys.argv[1:2]
    try:
        # Started before anything else is imported: torch takes seconds, the rest of this program a fraction.
        from checks.workers import Pool

        grading = asked in ([], ["chapter"], ["all"], ["watch"], ["why"], ["matrix"])
        pool = Pool() if grading and "--help" not in sys.argv else None
        from checks.cli import main
    except ModuleNotFoundError as error:
        if asked == ["doctor"]:
            from checks import doctor

            sys.exit(doctor.plainly())
        return f"{error} in this Python"
    main(pool)
    return None


if __name__ == "__main__":
    try:
        hindrance = sentence()
    except KeyboardInterrupt:
        sys.exit(130)
    if hindrance:
        advice = "activate .venv first, which make setup (python make.py setup) creates"
        sys.stderr.write(f"error: {hindrance} ({sys.executable}): {advice}.\n")
        sys.exit(2)
