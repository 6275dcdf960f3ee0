"""Service levels. What the stories assert is explained as in a test."""

import pytest

pytest.register_assert_rewrite("tests.slo.levels", "tests.slo.stories")
