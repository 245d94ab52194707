"""The conformance suite: what every method must prove, for built-in methods and for those of other packages.

    from manyways.testing import check_method
    check_method(MyMethod)

With pytest, a test per promise:

    @pytest.mark.parametrize(("name", "check"), checks_for(MyMethod))
    def test_promise(name, check):
        check()
"""

from manyways.testing.suite import check_method, checks, checks_for
from manyways.testing.trial import BrokenPromise, Trial

__all__ = ["BrokenPromise", "Trial", "check_method", "checks", "checks_for"]
