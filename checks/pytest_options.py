"""The options of `pytest checks` (see `checks/conftest.py`), which pytest knows by pyproject.toml.

It has to know them before it loads any conftest.py: it takes DIR, after an option that it does not know,
for a folder of tests, and would run the conftest.py of whoever handed it in, outside of the sandbox.
"""


def pytest_addoption(parser):
    group = parser.getgroup("checks", "grading a submission")
    group.addoption("--submission", help="folder with the chapters to grade")
    group.addoption("--chapter", type=int, action="append", help="only this chapter; repeatable")
    group.addoption("--own", action="store_true", help="run on the submission's other chapters")
