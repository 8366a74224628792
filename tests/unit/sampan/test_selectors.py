import pytest
from hypothesis import given
from hypothesis import strategies as st

from sampan import selectors
from sampan.api.meta_v1 import LabelSelector
from sampan.selectors import FieldRequirement, FieldSelector, Operator, Requirement, Selector, SelectorError


@pytest.mark.parametrize(
    ("text", "labels", "matches"),
    [
        ("", {}, True),
        ("a=b", {"a": "b"}, True),
        ("a==b", {"a": "c"}, False),
        ("a=", {"a": ""}, True),
        ("a=", {}, False),
        ("a!=b", {}, True),
        ("a!=b", {"a": "b"}, False),
        ("a in (x, y)", {"a": "y"}, True),
        ("a in (x,y)", {}, False),
        ("a in ()", {"a": ""}, True),
        ("a in ()", {"a": "x"}, False),
        ("a in (x,)", {"a": ""}, True),
        ("a notin (x)", {}, True),
        ("a notin (x)", {"a": "x"}, False),
        ("!a", {}, True),
        (" ! a , b ", {"b": "1"}, True),
        ("a", {"a": ""}, True),
        ("a>5", {"a": "6"}, True),
        ("a>5", {"a": "5"}, False),
        ("a<5", {"a": "x"}, False),
        ("in in (in)", {"in": "in"}, True),
        ("notin", {"notin": ""}, True),
        ("app.kubernetes.io/name=web,tier!=db", {"app.kubernetes.io/name": "web"}, True),
    ],
)  # fmt: skip
def test_a_label_selector_selects(text: str, labels: dict[str, str], matches: bool) -> None:
    assert selectors.parse(text).matches(labels) is matches


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a b", "unable to parse requirement: found 'b', expected: !=, <, =, ==, >, in, notin"),
        ("=a", "found '=', expected: !, identifier, or 'end of string'"),
        ("a=b,", "found '', expected: identifier after ','"),
        ("a=b c", "found 'c', expected: ',' or 'end of string'"),
        ("a in x", "unable to parse requirement: found 'x' expected: '('"),
        ("a in (x", "unable to parse requirement: found '', expected: ',' or ')'"),
        ("a in (x y)", "unable to parse requirement: found 'y', expected: ',' or ')'"),
        ("a=(", "unable to parse requirement: found '(', expected: identifier"),
        ("!", "unable to parse requirement: found '', expected: identifier"),
        ("a>x", "unable to parse requirement: values[0]: Invalid value: \"x\": for 'Gt', 'Lt' operators, "
         "the value must be an integer"),
    ],
)  # fmt: skip
def test_a_wrong_label_selector_is_refused_in_upstreams_words(text: str, complaint: str) -> None:
    with pytest.raises(SelectorError) as caught:
        selectors.parse(text)
    assert str(caught.value) == complaint


def test_a_key_that_is_no_label_is_refused() -> None:
    with pytest.raises(SelectorError, match="name part must consist of alphanumeric"):
        selectors.parse("-a=b")


words = st.text("abcXYZ09", min_size=1, max_size=4)
requirements = st.one_of(
    st.builds(
        Requirement,
        words,
        st.sampled_from([Operator.IN, Operator.NOT_IN]),
        st.frozensets(words | st.just(""), min_size=1),
    ),
    st.builds(Requirement, words, st.sampled_from([Operator.EXISTS, Operator.DOES_NOT_EXIST])),
    st.builds(
        Requirement,
        words,
        st.sampled_from([Operator.GT, Operator.LT]),
        st.integers(0, 99).map(lambda n: frozenset([str(n)])),
    ),
)


def obviously(requirement: Requirement, labels: dict[str, str]) -> bool:
    present = requirement.key in labels
    value = labels.get(requirement.key)
    match requirement.operator:
        case Operator.IN:
            return present and value in requirement.values
        case Operator.NOT_IN:
            return not present or value not in requirement.values
        case Operator.EXISTS:
            return present
        case Operator.DOES_NOT_EXIST:
            return not present
    if value is None or not value.isdigit():
        return False
    bound = int(next(iter(requirement.values)))
    return int(value) > bound if requirement.operator is Operator.GT else int(value) < bound


@given(st.lists(requirements, max_size=4), st.dictionaries(words, words | st.just("")))
def test_the_compiled_selector_agrees_with_the_obvious_one(asked: list[Requirement], labels: dict[str, str]) -> None:
    wanted = all(obviously(one, labels) for one in asked)
    assert Selector(tuple(asked)).matches(labels) is wanted
    assert selectors.parse(str(Selector(tuple(asked)))).matches(labels) is wanted


@given(st.text(alphabet="ab=!,()<> in", max_size=12))
def test_any_text_is_either_understood_or_refused(text: str) -> None:
    try:
        selector = selectors.parse(text)
    except SelectorError:
        return
    assert selectors.parse(str(selector)) == selector


def test_a_selector_object_without_content_selects_everything_and_none_selects_nothing() -> None:
    everything = selectors.of_object(LabelSelector())
    assert everything is not None
    assert everything.matches({})
    assert selectors.of_object(None) is None


def test_a_selector_object_is_a_conjunction() -> None:
    selector = selectors.of_object(
        LabelSelector.from_json(
            {"matchLabels": {"a": "1"}, "matchExpressions": [{"key": "b", "operator": "NotIn", "values": ["x"]}]}
        )
    )
    assert selector is not None
    assert selector.matches({"a": "1"})
    assert not selector.matches({"a": "1", "b": "x"})
    assert str(selector) == "a=1,b!=x"


@pytest.mark.parametrize("operator", ["in", "", "Near"])
def test_an_unknown_operator_is_refused(operator: str) -> None:
    with pytest.raises(SelectorError, match="is not a valid label selector operator"):
        selectors.of_object(LabelSelector.from_json({"matchExpressions": [{"key": "a", "operator": operator}]}))


FIELDS = {"metadata.name": "web", "status.phase": "Running", "spec.nodeName": ""}


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("", True),
        ("metadata.name=web", True),
        ("metadata.name==web,status.phase!=Running", False),
        ("spec.nodeName=", True),
        ("spec.nodeName!=", False),
        ("metadata.name=web,", True),
    ],
)
def test_a_field_selector_selects(text: str, matches: bool) -> None:
    assert selectors.parse_fields(text, FIELDS).matches(FIELDS) is matches


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("metadata.name", "invalid selector: 'metadata.name'; can't understand 'metadata.name'"),
        ("spec.x=1", "field label not supported: spec.x"),
        ("metadata.name=a\\b", "invalid field selector: invalid escape sequence: \\b"),
        ("metadata.name=a=b", "invalid field selector: unescaped character in value: ="),
    ],
)
def test_a_wrong_field_selector_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(SelectorError) as caught:
        selectors.parse_fields(text, FIELDS)
    assert str(caught.value) == complaint


@given(st.text(max_size=20), st.booleans())
def test_any_value_can_be_asked_for(value: str, equal: bool) -> None:
    selector = FieldSelector((FieldRequirement("metadata.name", value, equal),))
    assert selectors.parse_fields(str(selector)) == selector
    assert selector.matches({"metadata.name": value}) is equal
