"""Scripts that complete a command line in bash and zsh, from the dataclasses of options that `flags` reads.

Tyro has such scripts for its own reader, which knows neither our bounds nor sub-commands that are modules. They are
written once, so that a shell does not wait for PyTorch at each Tab.
"""

import re
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args, get_type_hints

import tyro

from maml_rl.schema.bounds import Known, choices_of
from maml_rl.schema.flags import option_name, plain_type, takes_many, without_none
from maml_rl.schema.help_page import docstrings


@dataclass(frozen=True)
class Flag:
    """An option as a shell sees it, or the values that a command takes before its options."""

    name: str  # with its dashes; "" of the values
    words: str  # for zsh, which shows them
    values: tuple[str, ...] = ()
    files: bool = False
    takes_value: bool = True
    many: bool = False  # whether it takes as many values as there are


def flags_of(*options: type, without: Container[str] = ()) -> list[Flag]:
    """The flags of the dataclasses `options`, as `read_flags` takes them, and --help.

    A flag that several of them have takes the values that any of them does. without: fields that are not offered.
    """
    flags = {"--help": Flag("--help", "Print every option and stop", takes_value=False)}
    for each in options:
        words = docstrings(each)
        for field, annotation in get_type_hints(each, include_extras=True).items():
            if tyro.conf.Suppress not in get_args(annotation) and field not in without:
                for flag in _flags(field, annotation, words.get(field, "")):
                    earlier = flags.get(flag.name, flag)
                    values = dict.fromkeys(earlier.values + flag.values)
                    flags[flag.name] = replace(earlier, values=tuple(values))
    return list(flags.values())


def _flags(field: str, annotation: Any, words: str) -> list[Flag]:
    words = re.split(r"[.:;](?: |$)| \(", words)[0]
    name = "" if tyro.conf.Positional in get_args(annotation) else option_name(field)
    inner, kind = without_none(annotation), plain_type(annotation)
    if kind is bool:
        return [Flag(each, words, takes_value=False) for each in (name, f"--no-{name[2:]}")]
    known = next((each for each in get_args(inner) if isinstance(each, Known)), Known(tuple))
    each = get_args(kind)[0] if takes_many(annotation) else inner
    is_path = kind is Path or (takes_many(annotation) and get_args(kind)[0] is Path)
    return [
        Flag(name, words, (*choices_of(each), *known.names()), is_path or known.or_file, many=takes_many(annotation))
    ]


def bash(program: str, commands: Mapping[str, Sequence[Flag]], own: Sequence[Flag]) -> str:
    """The script for bash, 3.2 and later. commands: the flags of each sub-command. own: the program's."""
    function = f"_{re.sub('[^a-z]', '_', program)}"
    cases = [
        f'        "{command} {flag.name}") names="{" ".join(flag.values)}"; files={int(flag.files)};;'
        for command, flags in {"": own, **commands}.items()
        for flag in flags
        if flag.takes_value
    ]
    names = [
        f'            "{command}") names="{" ".join(flag.name for flag in flags if flag.name)}";;'
        for command, flags in commands.items()
    ]
    lists = "|".join(
        f'"{command} {flag.name}"' for command, flags in commands.items() for flag in flags if flag.name and flag.many
    )
    first = " ".join([*commands, *(flag.name for flag in own)])
    return "\n".join(
        [
            f"{function}() {{",
            '    local word="${COMP_WORDS[COMP_CWORD]}" before="${COMP_WORDS[COMP_CWORD-1]}"',
            '    local command="" names="" files=0 at=$((COMP_CWORD - 1))',
            "    local IFS=$' \\t\\n'",
            '    [ "$COMP_CWORD" -gt 1 ] && command="${COMP_WORDS[1]}"',
            '    case "$command" in -*) command="";; esac',
            "    # bash takes --env=x for three words",
            '    [ "$before" = "=" ] && before="${COMP_WORDS[COMP_CWORD-2]}"',
            '    [ "$word" = "=" ] && word=""',
            "    # behind a flag that takes a list, another value of it",
            '    while [ "$at" -gt 1 ]; do case "${COMP_WORDS[at]}" in -*) break;; esac; at=$((at - 1)); done',
            '    case "$word" in -*) ;; *)',
            f'        case "$command ${{COMP_WORDS[at]}}" in {lists}) before="${{COMP_WORDS[at]}}";; esac;;',
            "    esac",
            "    COMPREPLY=()",
            '    case "$command $before" in',
            *cases,
            "        *)",
            '            case "$command" in',
            *(f"    {each}" for each in names),
            f'                "") [ "$COMP_CWORD" -eq 1 ] && names="{first}";;',
            "            esac",
            '            case "$command $word" in',
            *(
                f'                "{command} -"*) ;;\n'
                f'                "{command} "*) names="{" ".join(flag.values)}"; files={int(flag.files)};;'
                for command, flags in commands.items()
                for flag in flags
                if not flag.name
            ),
            "            esac;;",
            "    esac",
            '    [ -n "$names" ] && COMPREPLY=($(compgen -W "$names" -- "$word"))',
            '    if [ "$files" = 1 ]; then',
            "        IFS=$'\\n'",
            "        compopt -o filenames 2>/dev/null",
            '        COMPREPLY+=($(compgen -f -- "$word"))',
            "    fi",
            "}",
            f"complete -F {function} {program}",
            "",
        ]
    )


def zsh(program: str, commands: Mapping[str, Sequence[Flag]], own: Sequence[Flag]) -> str:
    """The script for zsh: to be read by `source`, or a file _maml_rl of a folder in fpath."""
    function = f"_{re.sub('[^a-z]', '_', program)}"
    cases = [
        line
        for command, flags in commands.items()
        for line in (
            f"        {command}) _arguments \\",
            *(f"            {_spec(flag)} \\" for flag in flags),
            "            ;;",
        )
    ]
    return "\n".join(
        [
            f"#compdef {program}",
            f"{function}() {{",
            "    local curcontext=$curcontext state line",
            "    typeset -A opt_args",
            "    _arguments -C \\",
            *(f"        {_spec(flag)} \\" for flag in own),
            f"        '1:command:({' '.join(commands)})' '*::options:->options'",
            "    [[ $state == options ]] && case $line[1] in",
            *cases,
            "    esac",
            "}",
            f'if [[ "$funcstack[1]" == {function} ]]; then {function} "$@"; else compdef {function} {program}; fi',
            "",
        ]
    )


def _spec(flag: Flag) -> str:
    """A flag as zsh's `_arguments` takes it."""
    words = re.sub(r"[\[\]:\\]", "", flag.words).replace("'", "'\\''")
    if not flag.takes_value:
        return f"'{flag.name}[{words}]'"
    choices = " ".join(flag.values)
    if flag.files:
        action = f"{{compadd -- {choices}; _files}}" if choices else "_files"
    else:
        action = f"({choices})" if choices else " "
    some = "*-*:value" if flag.many else "value"  # up to the next flag
    return f"'{flag.name}=[{words}]:{some}:{action}'" if flag.name else f"'*:value:{action}'"


SHELLS = {"bash": bash, "zsh": zsh}
