import sys

# Started before anything else is imported: torch takes seconds, the rest of this program a fraction.
from checks.workers import Pool

if __name__ == "__main__":
    grading = sys.argv[1:2] in ([], ["chapter"], ["all"], ["why"], ["matrix"])
    pool = Pool() if grading and "--help" not in sys.argv else None
    from checks.cli import main

    main(pool)
