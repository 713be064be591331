"""The rules are safe in every interleaving, and each of them is needed."""

from __future__ import annotations

import pytest

from batch_pipeline_tests.model import fingerprints, variants
from batch_pipeline_tests.model.fingerprints import Order
from batch_pipeline_tests.model.rules import Variant


def _name(named: Variant | Order) -> str:
    return named.name


@pytest.mark.parametrize("variant", variants.SAFE, ids=_name)
def test_no_interleaving_pays_twice(variant: Variant) -> None:
    assert variants.run(variant).told() == ""


@pytest.mark.parametrize("variant", variants.LEFT_OUT, ids=_name)
def test_each_rule_left_out_pays_twice(variant: Variant) -> None:
    assert not variants.run(variant).safe


@pytest.mark.parametrize("variant", variants.NOT_EXCLUDED, ids=_name)
def test_what_is_told_to_stay_possible_is_found_by_the_model(variant: Variant) -> None:
    assert not variants.run(variant).safe


def test_no_interleaving_buys_a_fingerprint_twice() -> None:
    assert fingerprints.run(fingerprints.SAFE).told() == ""


@pytest.mark.parametrize("order", fingerprints.LEFT_OUT, ids=_name)
def test_each_other_order_buys_a_fingerprint_twice(order: Order) -> None:
    assert not fingerprints.run(order).safe
