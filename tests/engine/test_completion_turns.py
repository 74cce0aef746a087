"""Talks with tools come out as each template family wants them; templates that know no tools are told in words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine.api.errors import UserError
from engine.completion import ChatRequest, Tool
from engine.completions.abilities import abilities
from engine.completions.chat import Ready, prepare
from engine.completions.families import family_of
from engine.completions.turns import short
from engine.generation import MEDIA_MARK
from engine.llama.load import LoadSettings
from engine.resident import Loaded

QWEN = (
    "{% if tools %}<|im_start|>system\n<tools>{% for t in tools %}\n{{ t | tojson }}{% endfor %}\n</tools> Write "
    '<tool_call>\n{"name": ..., "arguments": ...}\n</tool_call><|im_end|>\n{% endif %}'
    "{% for m in messages %}{% if m.role == 'tool' %}<|im_start|>user\n<tool_response>\n{{ m.content }}\n"
    "</tool_response><|im_end|>\n{% else %}<|im_start|>{{ m.role }}\n{{ m.content }}{% for c in m.tool_calls or [] %}"
    '\n<tool_call>\n{"name": "{{ c.function.name }}", "arguments": {{ c.function.arguments | tojson }}}\n</tool_call>'
    "{% endfor %}<|im_end|>\n{% endif %}{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking is defined and not enable_thinking %}<think>\n\n</think>\n\n{% endif %}{% endif %}"
)
LLAMA = (
    "{{ bos_token }}{% for m in messages %}{% if 'tool_calls' in m %}{% if m.tool_calls | length != 1 %}"
    "{{ raise_exception('single tool-calls only') }}{% endif %}{% set f = m.tool_calls[0].function %}"
    '<|start_header_id|>assistant<|end_header_id|>\n\n{"name": "{{ f.name }}", "parameters": '
    "{{ f.arguments | tojson }}}<|eot_id|>{% else %}<|start_header_id|>"
    "{{ 'ipython' if m.role == 'tool' else m.role }}<|end_header_id|>\n\n"
    "{% if loop.first %}{% for t in tools or [] %}{{ t | tojson }}\n{% endfor %}{% endif %}{{ m.content }}<|eot_id|>"
    "{% endif %}{% endfor %}{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
MISTRAL = (
    "{% for m in messages %}{% if m.role == 'user' %}{% if tools and loop.first %}[AVAILABLE_TOOLS]"
    "{{ tools | tojson }}[/AVAILABLE_TOOLS]{% endif %}[INST]{{ m.content }}[/INST]{% elif m.tool_calls is defined %}"
    "[TOOL_CALLS][{% for c in m.tool_calls %}{% if c.id | length != 9 %}{{ raise_exception('nine') }}{% endif %}"
    '{{ (c.function | tojson)[:-1] }}, "id": "{{ c.id }}"}{{ \', \' if not loop.last }}{% endfor %}]</s>'
    '{% elif m.role == \'tool\' %}[TOOL_RESULTS]{"content": {{ m.content }}, "call_id": "{{ m.tool_call_id }}"}'
    "[/TOOL_RESULTS]{% elif m.role == 'system' %}{{ raise_exception('no system') }}"
    "{% else %}{{ m.content }}</s>{% endif %}{% endfor %}"
)
DEEPSEEK = (
    "{% for m in messages %}{% if m.role == 'user' %}<｜User｜>{{ m.content }}{% elif m.role == 'tool' %}"
    "<｜tool▁outputs▁begin｜>{{ m.content }}<｜tool▁outputs▁end｜>{% elif m.role == 'system' %}{{ m.content }}"
    "{% elif m.content is none %}<｜Assistant｜><｜tool▁calls▁begin｜>{% for c in m.tool_calls %}"
    "{{ '<｜tool▁call▁begin｜>' + c.type + '<｜tool▁sep｜>' + c.function.name + '\n```json\n' + c.function.arguments + "
    "'\n```<｜tool▁call▁end｜>' }}{% endfor %}<｜tool▁calls▁end｜>{% else %}<｜Assistant｜>{{ m.content }}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}<｜Assistant｜><think>\n{% endif %}"
)
CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
GEMMA3 = (
    "{% for m in messages %}{% if m.role not in 'user assistant' or (m.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('alternate') }}{% endif %}<start_of_turn>{{ m.role }}\n{{ m.content }}<end_of_turn>\n"
    "{% endfor %}<start_of_turn>model\n"
)
WEATHER = Tool("get_weather", "Weather of a city", {"properties": {"city": {"type": "string"}}, "required": ["city"]})
TALK: list[dict[str, Any]] = [
    {"role": "user", "content": "Paris and London?"},
    {
        "role": "assistant",
        "content": "",
        "tool_calls": [
            {"id": "call_one", "name": "get_weather", "arguments": '{"city": "Paris"}'},
            {"id": "call_two", "name": "get_weather", "arguments": '{"city": "London"}'},
        ],
    },
    {"role": "tool", "tool_call_id": "call_one", "content": '{"t": 18}'},
    {"role": "tool", "tool_call_id": "call_two", "content": '{"t": 9}'},
]


def made(template: str | None, messages: list[dict[str, Any]], **wishes: Any) -> Ready:
    info = Loaded("m", Path("m"), LoadSettings(), 2048, 2048, template, "<s>", "</s>", "", 0, {}, {}, 0)
    return prepare(info, ChatRequest("m", messages, **{"tools": (WEATHER,), **wishes}))


def prompt(template: str | None, messages: list[dict[str, Any]], **wishes: Any) -> str:
    return made(template, messages, **wishes).generation.prompt


@pytest.mark.parametrize(
    ("template", "name"),
    [
        (QWEN, "hermes"),
        (LLAMA, "llama3"),
        (MISTRAL, "mistral"),
        (DEEPSEEK, "deepseek"),
        (CHATML, "plain"),
        (GEMMA3, "plain"),
        (None, "plain"),
    ],
)
def test_the_family_is_known_by_the_template(template: str | None, name: str) -> None:
    assert family_of(template)[0] == name


def test_what_a_template_can_do_is_found_out_by_asking_it() -> None:
    assert (abilities(QWEN).tools, abilities(QWEN).arguments, abilities(QWEN).several) == (True, "object", True)
    assert (abilities(LLAMA).arguments, abilities(LLAMA).several) == ("object", False)
    assert (abilities(DEEPSEEK).tools, abilities(DEEPSEEK).arguments, abilities(DEEPSEEK).empty) == (
        False,
        "text",
        None,
    )
    assert (abilities(CHATML).tools, abilities(CHATML).arguments) == (False, "")
    assert abilities("{{ raise_exception('never') }}").tools is False


def test_hermes_calls_and_results_are_the_templates_own() -> None:
    got = prompt(QWEN, TALK)
    assert '"name": "get_weather", "description": "Weather of a city", "parameters": {"type": "object"' in got
    assert '<tool_call>\n{"name": "get_weather", "arguments": {"city": "London"}}\n</tool_call><|im_end|>' in got
    assert got.endswith('<tool_response>\n{"t": 9}\n</tool_response><|im_end|>\n<|im_start|>assistant\n')


def test_where_one_call_an_answer_is_the_rule_each_gets_its_result_behind_it() -> None:
    got = prompt(LLAMA, [*TALK[:2], TALK[3], TALK[2]])
    order = ['"parameters": {"city": "Paris"}', '{"t": 18}', '"parameters": {"city": "London"}', '{"t": 9}']
    places = [got.index(part) for part in order]
    assert places == sorted(places)
    assert got.count("ipython") == 2


def test_ids_are_nine_letters_for_mistral_and_stay_together() -> None:
    got = prompt(MISTRAL, TALK)
    assert f'"arguments": {{"city": "Paris"}}, "id": "{short("call_one")}"}}' in got
    assert f'{{"content": {{"t": 18}}, "call_id": "{short("call_one")}"}}' in got
    assert (len(short("call_one")), short("abcDEF012")) == (9, "abcDEF012")
    assert short("call_one") != short("call_two")


def test_arguments_are_text_where_the_template_joins_texts_and_the_tools_are_told_in_words() -> None:
    got = prompt(DEEPSEEK, TALK)
    assert 'function<｜tool▁sep｜>get_weather\n```json\n{"city": "London"}\n```<｜tool▁call▁end｜>' in got
    assert got.startswith("You can call tools.")
    assert '<｜tool▁sep｜>NAME\n```json\n{"ARGUMENT": "VALUE"}\n```' in got


@pytest.mark.parametrize("template", [CHATML, GEMMA3])
def test_a_template_that_knows_no_tools_is_told_in_words(template: str) -> None:
    got = prompt(template, [{"role": "system", "content": "Be kind."}, *TALK, {"role": "user", "content": "And?"}])
    assert "Be kind.\n\nYou can call tools." in got
    assert '{"tool": "NAME", "arguments": {"ARGUMENT": "VALUE"}}' in got
    assert '{"tool": "get_weather", "arguments": {"city": "Paris"}}\n{"tool": "get_weather"' in got
    assert 'Result of get_weather:\n{"t": 18}\n\nResult of get_weather:\n{"t": 9}' in got
    assert "None" not in got


def test_a_model_without_a_template_gets_the_same_words() -> None:
    assert "Result of get_weather:" in prompt(None, TALK)


def test_no_tools_are_shown_when_none_may_be_called() -> None:
    ready = made(QWEN, TALK[:1], tool_choice="none")
    assert "get_weather" not in ready.generation.prompt
    assert ready.generation.grammar is None


def test_several_calls_are_allowed_only_where_the_template_can_show_them() -> None:
    grammars = [made(t, TALK[:1], tool_choice="required").generation.grammar for t in (QWEN, LLAMA)]
    assert ["{0,15}" in grammar.text for grammar in grammars if grammar] == [True, False]


def test_thinking_reaches_the_template_or_is_closed_for_it() -> None:
    off = made(QWEN, TALK[:1], thinking=False)
    assert off.generation.prompt.endswith("<think>\n\n</think>\n\n")
    assert made(DEEPSEEK, TALK[:1], thinking=False).generation.prompt.endswith("<think>\n\n</think>\n\n")
    assert off.opened is None
    on = made(DEEPSEEK, TALK[:1], budget=100)
    assert on.opened is not None and on.generation.thinking is not None
    assert (on.generation.thinking.budget, on.generation.thinking.opened) == (100, True)
    assert made(QWEN, TALK[:1]).generation.thinking is None


def test_effort_reaches_templates_that_know_it() -> None:
    template = "{% if reasoning_effort %}effort {{ reasoning_effort }}{% endif %}{{ messages[0].content }}"
    assert prompt(template, TALK[:1], effort="high", tools=()) == "effort highParis and London?"
    assert prompt(template, TALK[:1], effort="none", tools=()) == "Paris and London?"


def test_earlier_reasoning_is_not_sent_back_in_the_text_but_told_to_templates_that_ask() -> None:
    template = "{% for m in messages %}[{{ m.role }}]{{ m.reasoning_content or '-' }}|{{ m.content }}{% endfor %}"
    talk = [*TALK[:1], {"role": "assistant", "content": "<think>hm</think>Yes.", "thinking": "because"}]
    assert prompt(template, talk, tools=()) == "[user]-|Paris and London?[assistant]because|Yes."


def test_an_answer_is_gone_on_with_where_it_ends() -> None:
    talk = [*TALK[:1], {"role": "assistant", "content": "It is"}]
    assert prompt(QWEN, talk, tools=(), continue_last=True).endswith("<|im_start|>assistant\nIt is")


def test_pictures_leave_marks_and_typed_marks_are_none() -> None:
    parts = [
        {"type": "text", "text": f"a {MEDIA_MARK} b "},
        {"type": "image", "data": b"one"},
        {"type": "audio", "data": b"two"},
    ]
    ready = made(CHATML, [{"role": "user", "content": parts}], tools=())
    assert ready.generation.prompt.count(MEDIA_MARK) == 2
    assert ready.generation.media == (b"one", b"two")


@pytest.mark.parametrize(
    "message",
    [
        {"role": "robot", "content": "x"},
        {"role": "user", "content": 7},
        {"role": "user", "content": [{"type": "video"}]},
        {"role": "user", "content": [{"type": "image", "data": "text"}]},
        {"role": "assistant", "tool_calls": "x"},
        {"role": "assistant", "tool_calls": [{"name": "a", "arguments": "[1]"}]},
        {"role": "assistant", "tool_calls": [{"name": "a", "arguments": "{broken"}]},
        {"role": "assistant", "tool_calls": [{"arguments": "{}"}]},
    ],
)
def test_messages_that_are_none_are_refused(message: dict[str, Any]) -> None:
    with pytest.raises(UserError) as error:
        made(CHATML, [message])
    assert error.value.code == "bad_messages"
