import pytest

from maml_rl.schema.documents import MAX_DEPTH, DocumentError, parse_json, parse_yaml


@pytest.mark.parametrize("parse", [parse_json, parse_yaml])
@pytest.mark.parametrize(("opened", "closed"), [("[", "]"), ('{"a": ', "}")])
def test_a_document_is_nested_to_a_limit(parse, opened, closed) -> None:
    value = parse(MAX_DEPTH * opened + "1" + MAX_DEPTH * closed)
    for _ in range(MAX_DEPTH):
        [value] = value.values() if isinstance(value, dict) else value
    assert value == 1
    with pytest.raises(DocumentError, match="nested more than 20 deep"):
        parse((MAX_DEPTH + 1) * opened + "1" + (MAX_DEPTH + 1) * closed)
