"""Prompts come out as the model's own template says, and a hostile template comes to nothing."""

from __future__ import annotations

import pytest

from engine.api.errors import UserError
from engine.prompts import render

CHATML = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou are SmolLM<|im_end|>\n' }}{% endif %}"
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
GEMMA = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}"
    "{% endif %}{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate') }}{% endif %}"
    "{% set role = 'model' if message['role'] == 'assistant' else message['role'] %}"
    "{{ '<start_of_turn>' + role + '\n' + message['content'] | trim + '<end_of_turn>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{'<start_of_turn>model\n'}}{% endif %}"
)
SYSTEM = {"role": "system", "content": "Be kind."}
TALK = [
    {"role": "user", "content": "Hello"},
    {"role": "assistant", "content": "Hi & welcome <b>"},
    {"role": "user", "content": "再见"},
]


def test_chatml_is_rendered_letter_for_letter() -> None:
    assert render(CHATML, [SYSTEM, *TALK]) == (
        "<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\nHello<|im_end|>\n"
        "<|im_start|>assistant\nHi & welcome <b><|im_end|>\n<|im_start|>user\n再见<|im_end|>\n<|im_start|>assistant\n"
    )
    assert render(CHATML, TALK[:1], add_generation_prompt=False).endswith("Hello<|im_end|>\n")


def test_a_template_that_refuses_a_system_role_gets_it_in_the_first_question() -> None:
    assert render(GEMMA, [SYSTEM, *TALK], bos="<bos>") == (
        "<bos><start_of_turn>user\nBe kind.\n\nHello<end_of_turn>\n"
        "<start_of_turn>model\nHi & welcome <b><end_of_turn>\n"
        "<start_of_turn>user\n再见<end_of_turn>\n<start_of_turn>model\n"
    )


def test_equal_roles_in_a_row_are_joined_where_turns_must_alternate() -> None:
    twice = [TALK[0], {"role": "user", "content": "Still there?"}]
    assert "Hello\n\nStill there?<end_of_turn>" in render(GEMMA, twice)


@pytest.mark.parametrize("template", [CHATML, GEMMA])
def test_an_open_answer_ends_the_prompt_exactly(template: str) -> None:
    for text in ("The sea is", "The sea is ", "", "```python\nx = 1\n"):
        messages = [SYSTEM, TALK[0], {"role": "assistant", "content": text}]
        rendered = render(template, messages, continue_last=True)
        assert rendered.endswith(("assistant\n" + text, "model\n" + text))


def test_an_answer_rewritten_by_its_template_can_still_be_left_open() -> None:
    template = (
        "{% for m in messages %}[{{ m.role }}]{{ m.content[:3] if m.role == 'assistant' else m.content }}{% endfor %}"
    )
    template += "{% if add_generation_prompt %}[assistant]{% endif %}"
    messages = [TALK[0], {"role": "assistant", "content": "long answer"}]
    assert render(template, messages, continue_last=True) == "[user]Hello[assistant]long answer"


def test_a_base_model_is_given_plain_text() -> None:
    assert render(None, TALK[:1]) == "Hello"
    assert render("", TALK) == "Hello\n\nHi & welcome <b>\n\n再见\n\n"
    assert render(None, TALK[:2], continue_last=True) == "Hello\n\nHi & welcome <b>"


def test_what_hugging_face_gives_to_templates_is_there() -> None:
    template = (
        "{{ bos_token }}{{ {'a': '<é>'}|tojson }}{% for i in range(9) %}{% if i == 2 %}{% break %}{% endif %}{{ i }}"
        "{% endfor %}{% generation %}g{% endgeneration %}{{ strftime_now('%Y')|length }}{{ eos_token }}"
        "{{ 'on' if enable_thinking else 'off' }}{% set n = namespace(x=1) %}{% set n.x = n.x + 1 %}{{ n.x }}"
        "{{ messages|selectattr('role', 'equalto', 'user')|list|length }}{{ ['a', 'b']|join('-') }}"
    )
    assert render(template, TALK, bos="<s>", eos="</s>", enable_thinking=True) == '<s>{"a": "<é>"}01g4</s>on22a-b'


def test_a_template_that_says_no_twice_is_an_error_with_its_words() -> None:
    with pytest.raises(UserError, match="only English") as error:
        render("{{ raise_exception('only English') }}", TALK)
    assert error.value.code == "bad_template"


HOSTILE = {
    "endless loop": "{% for a in range(10**9) %}x{% endfor %}",
    "nested loops": "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "endless output": "{% for i in range(99999) %}{{ 'a'*99999 }}{% endfor %}",
    "long text": "{{ 'a' * 10**10 }}",
    "doubled text": "{% set n = namespace(x='a') %}{% for i in range(60) %}{% set n.x = n.x ~ n.x %}{% endfor %}",
    "added text": "{% set n = namespace(x='a') %}{% for i in range(60) %}{% set n.x = n.x + n.x %}{% endfor %}",
    "doubled block": "{% set n = namespace(x='a') %}{% for i in range(60) %}{% set n.x %}{{ n.x }}{{ n.x }}{% endset %}"
    "{% endfor %}",
    "number": "{{ 2 ** (10**9) }}",
    "squares": "{% set n = namespace(x=9) %}{% for i in range(60) %}{% set n.x = n.x * n.x %}{% endfor %}",
    "percent": "{{ '%1000000000d' % 1 }}",
    "percent star": "{{ '%*d' % (1000000000, 1) }}",
    "format": "{{ '{:1000000000}'.format(1) }}",
    "padding": "{{ 'a'.ljust(10**10) }}",
    "replace": "{{ ('a'*99999).replace('a', 'b'*99999) }}",
    "replace filter": "{{ ('a'*99999)|replace('a', 'b'*99999) }}",
    "join": "{{ (['a'*99999]*99999)|join }}",
    "join method": "{{ 'x'.join(['a'*99999]*99999) }}",
    "indent": "{{ 'x'|indent(99999999) }}",
    "deep json": "{{ [1]|tojson(indent=10**9) }}",
    "long words": "{{ ([['a'*99999]*999]*999)|string }}",
    "two calls": "{% macro m(n) %}{{ m(n+1) }}{{ m(n+1) }}{% endmacro %}{{ m(0) }}",
    "ring": "{% set n = namespace() %}{% set n.s = n %}{{ n }}",
    "classes": "{{ ''.__class__.__mro__ }}",
    "subclasses": "{{ messages.__class__.__base__.__subclasses__() }}",
    "namespace globals": "{{ namespace.__init__.__globals__ }}",
    "changing": "{{ messages.append(1) }}",
    "include": "{% include '/etc/passwd' %}",
    "import": "{% import 'os' as os %}",
    "syntax": "{% for",
    "brackets": "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
    "undefined": "{{ tools.x.y }}",
    "division": "{{ 1 / 0 }}",
    "too long": "a" * 2_000_000,
}


@pytest.mark.parametrize("template", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_template_is_refused(template: str) -> None:
    with pytest.raises(UserError) as error:
        render(template, TALK)
    assert error.value.code == "bad_template"
    assert error.value.values["detail"]


def test_nested_lists_run_out_of_time() -> None:
    grown = "{% set n = namespace(x=[1]) %}{% for i in range(60) %}{% set n.x = [n.x, n.x] %}{% endfor %}{{ n.x }}"
    with pytest.raises(UserError, match="without end"):
        render(grown, TALK)


def test_classes_cannot_be_reached_through_filters_and_formats() -> None:
    assert render("{{ raise_exception.__globals__ }}{{ strftime_now.__code__ }}", TALK) == ""
    for template in ("{{ 'a'|attr('__class__') }}", "{{ '{0.__class__}'.format('') }}"):
        assert "str" not in render(template, TALK)
