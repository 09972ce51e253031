"""Registered names, and sections whose options are the keyword-only parameters of a function."""

from __future__ import annotations

from typing import Annotated, Literal

import pytest
from pydantic import Field, TypeAdapter, ValidationError

from mmtrain.registry import OneOf, Registry, Section, option_fields, options_of, section_for


class Dish(Section):
    """What every dish has."""

    name: str
    portions: int = 1


def soup(*, water: Annotated[float, Field(gt=0)] = 1.0, salt: bool = True) -> str:
    """Boiled."""
    return f"{water} {salt}"


def bread(flour: str, *, hours: int = 2) -> str:
    """Baked."""
    return f"{flour} {hours}"


def test_names_come_in_the_order_of_their_registration():
    dishes: Registry[object] = Registry("dish")
    dishes.add("soup", soup)
    dishes.add("bread", bread)
    assert list(dishes) == ["soup", "bread"]
    assert list(dishes.items()) == [("soup", soup), ("bread", bread)]
    assert dishes["bread"] is bread
    assert "soup" in dishes
    assert "cake" not in dishes


def test_a_name_cannot_be_taken_twice():
    dishes: Registry[object] = Registry("dish")
    dishes.add("soup", soup)
    with pytest.raises(ValueError) as caught:
        dishes.add("soup", bread)
    assert str(caught.value) == (f"The dish name 'soup' is already taken by {__name__}.soup. Register {__name__}.bread under another name.")
    assert dishes["soup"] is soup


def test_the_same_definition_can_be_registered_again():
    dishes: Registry[object] = Registry("dish")
    dishes.add("soup", soup)
    dishes.add("soup", soup)
    assert list(dishes) == ["soup"]


def test_the_version_grows_with_every_change():
    dishes: Registry[object] = Registry("dish")
    versions = [dishes.version]
    dishes.add("soup", soup)
    versions.append(dishes.version)
    dishes.remove("soup")
    versions.append(dishes.version)
    assert versions == [0, 1, 2]
    assert "soup" not in dishes


def test_the_options_of_a_function_are_its_keyword_only_parameters():
    assert list(option_fields(soup)) == ["water", "salt"]
    assert option_fields(bread) == {"hours": (int, 2)}


def test_an_option_needs_a_type_and_a_default():
    def untyped(*, salt=1):
        return salt

    def required(*, salt: int):
        return salt

    where = f"{__name__}.test_an_option_needs_a_type_and_a_default.<locals>"
    for function in (untyped, required):
        with pytest.raises(TypeError) as caught:
            option_fields(function)
        assert str(caught.value) == f"Option 'salt' of {where}.{function.__name__} needs a type and a default."


def test_a_section_has_its_base_and_the_options_with_their_ranges():
    section = section_for("clear_soup", soup, Dish)
    assert section.__name__ == "ClearSoupDish"
    assert section.__doc__ == "Boiled."
    dish = section(name="lunch", water=0.5)
    assert dish.model_dump() == {"name": "lunch", "portions": 1, "water": 0.5, "salt": True}
    assert options_of(dish, Dish) == {"water": 0.5, "salt": True}
    with pytest.raises(ValidationError, match="greater than 0"):
        section(name="lunch", water=0)


def test_an_option_cannot_have_a_name_that_every_section_has():
    def stew(*, portions: int = 4):
        return portions

    with pytest.raises(TypeError) as caught:
        section_for("stew", stew, Dish)
    where = f"{__name__}.test_an_option_cannot_have_a_name_that_every_section_has.<locals>.stew"
    assert str(caught.value) == f"Option 'portions' of {where} needs another name; every Dish has it."


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"name": "a", "portion": 2}, "extra_forbidden"),
        ({"name": "a", "portions": "x"}, "int_parsing"),
        ({}, "missing"),
        ({"name": None}, "missing"),
        ({"name": "a", "cook": None}, "extra_forbidden"),
    ],
)
def test_a_section_refuses(values, error):
    with pytest.raises(ValidationError) as caught:
        Dish.model_validate(values)
    assert [found["type"] for found in caught.value.errors()] == [error]


def test_a_known_key_without_a_value_is_left_out():
    assert Dish.model_validate({"name": "a", "portions": None}).portions == 1


def test_a_section_is_frozen_and_its_numbers_are_finite():
    class Oven(Section):
        degrees: float = 200.0

    with pytest.raises(ValidationError, match="frozen"):
        Oven().degrees = 1.0  # type: ignore[misc]
    for value in (float("nan"), float("inf")):
        with pytest.raises(ValidationError, match="finite"):
            Oven(degrees=value)


def test_one_of_takes_the_section_that_the_tag_names_even_within_another():
    class Tea(Dish):
        name: Literal["tea"] = "tea"
        minutes: int = 3

    class Cake(Dish):
        name: Literal["cake"] = "cake"
        kind: str

    class Cheesecake(Cake):
        kind: Literal["cheese"] = "cheese"

    cakes = Annotated[Cake, OneOf("kind", lambda: {"cheese": Cheesecake})]
    adapter: TypeAdapter[Dish] = TypeAdapter(Annotated[Dish, OneOf("name", lambda: {"tea": Tea, "cake": cakes})])
    assert adapter.validate_python({"name": "tea", "minutes": 5}) == Tea(minutes=5)
    assert adapter.validate_python({"name": "cake", "kind": "cheese"}) == Cheesecake()
    with pytest.raises(ValidationError) as caught:
        adapter.validate_python({"name": "pie"})
    assert caught.value.errors()[0]["type"] == "union_tag_invalid"


def test_a_metric_of_a_file_that_is_imported_twice_is_the_same():
    from mmtrain.metrics import metric
    from mmtrain.metrics.registered_metrics import registered_metrics
    from mmtrain.metrics.score import _METRICS

    source = "@metric('regression', higher_is_better=True)\ndef same_twice(y_true, prediction, target):\n    return 0.0\n"
    try:
        for _ in range(2):
            exec(source, {"metric": metric, "__name__": "a_file"})
        assert registered_metrics["same_twice"].compute(0, 0, 0) == 0.0
    finally:
        registered_metrics.remove("same_twice")
        _METRICS.pop("same_twice", None)
