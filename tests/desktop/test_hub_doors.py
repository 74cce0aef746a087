"""Which doors a name on a hub opens."""

from __future__ import annotations

from desktop.widgets.conversion.doors import doors_for


def test_what_lies_on_a_hub_opens_the_doors_of_what_it_is() -> None:
    checkpoint = {"kind": "hub", "can": ["gguf", "onnx", "merge", "lowrank"]}
    assert [door.id for door in doors_for(checkpoint)] == ["onnx", "merge", "lowrank"]
    assert [door.id for door in doors_for({"kind": "hub", "can": ["adapter", "merge_adapter"]})] == [
        "adapter",
        "merge_adapter",
    ]
    assert doors_for({"kind": "hub", "can": ["download"]}) == []
