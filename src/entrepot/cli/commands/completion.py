"""`entrepot completion`: shells complete commands, options, and names that the server knows."""

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer

from entrepot.cli.output import Format, Output
from entrepot.cli.user import environment
from entrepot.errors import InvalidError

app = typer.Typer(help="Have a shell complete commands and names.", no_args_is_help=True, add_completion=False)

BASH: Final = """\
# entrepot completion: bash takes a colon for the end of a word, so the line is read whole,
# and what the word at the cursor has before its last colon is not given again.
_entrepot_completion() {
    local line="${COMP_LINE:0:COMP_POINT}" current="" IFS=$' \\t\\n'
    local -a words
    read -r -a words <<< "$line"
    if [[ "$line" == *[[:space:]] ]]; then words+=(""); fi
    current="${words[${#words[@]} - 1]}"
    IFS=$'\\n'
    COMPREPLY=($(COMP_WORDS="$line" COMP_CWORD=$((${#words[@]} - 1)) _ENTREPOT_COMPLETE=complete_bash "$1" 2>/dev/null))
    if [[ "$current" == *:* && "$COMP_WORDBREAKS" == *:* ]]; then
        COMPREPLY=("${COMPREPLY[@]#"${current%"${current##*:}"}"}")
    fi
}
complete -o default -F _entrepot_completion entrepot
"""
ZSH: Final = """\
#compdef entrepot
_entrepot() {
    local -a found
    found=("${(@f)$(_TYPER_COMPLETE_ARGS="${words[1,$CURRENT]}" _TYPER_COMPLETE_FISH_ACTION=get-args \\
        _ENTREPOT_COMPLETE=complete_fish ${words[1]} 2>/dev/null)}")
    found=("${(@)found%%$'\\t'*}")
    if [[ -n "${found[1]}" ]]; then compadd -a found; else _files; fi
}
if [[ "$funcstack[1]" == _entrepot ]]; then _entrepot "$@"; else compdef _entrepot entrepot; fi
"""
FISH: Final = """\
complete --command entrepot --no-files --arguments "(_ENTREPOT_COMPLETE=complete_fish \
_TYPER_COMPLETE_FISH_ACTION=get-args _TYPER_COMPLETE_ARGS=(commandline -cp) entrepot 2>/dev/null)" \
--condition "_ENTREPOT_COMPLETE=complete_fish _TYPER_COMPLETE_FISH_ACTION=is-args \
_TYPER_COMPLETE_ARGS=(commandline -cp) entrepot 2>/dev/null"
"""


class Shell(StrEnum):
    """The shells that can complete."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


SCRIPTS: Final = {Shell.BASH: BASH, Shell.ZSH: ZSH, Shell.FISH: FISH}
NOTES: Final = {
    Shell.BASH: "new shells complete, where the package bash-completion is installed; else source that file",
    Shell.ZSH: "zsh looks there if ~/.zshrc has, before compinit: fpath+=({folder})",
    Shell.FISH: "new shells complete",
}

Named = Annotated[
    Shell | None, typer.Argument(metavar="SHELL", help="bash, zsh or fish; else that of SHELL.", show_default=False)
]


@app.command("show")
def show(shell: Named = None) -> None:
    """Print what a shell reads in order to complete."""
    Output.to_terminal(Format.TABLE).text(SCRIPTS[shell or _own(environment())].rstrip("\n"))


@app.command("install")
def install(shell: Named = None) -> None:
    """Put that where a shell looks for it, in your home alone. Nothing that you wrote is changed."""
    wanted = shell or _own(environment())
    path = place(wanted, environment())
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(SCRIPTS[wanted])
    out = Output.to_terminal(Format.TABLE)
    out.note(f"wrote {path}")
    out.note(NOTES[wanted].format(folder=path.parent))


def place(shell: Shell, environment: Mapping[str, str]) -> Path:
    """The file in which *shell* looks for completions of `entrepot`. Spec: XDG Base Directory Specification."""
    home = Path(environment.get("HOME") or Path.home())
    data = Path(environment.get("XDG_DATA_HOME") or home / ".local" / "share")
    settings = Path(environment.get("XDG_CONFIG_HOME") or home / ".config")
    match shell:
        case Shell.BASH:
            return data / "bash-completion" / "completions" / "entrepot"
        case Shell.ZSH:
            return data / "zsh" / "site-functions" / "_entrepot"
        case Shell.FISH:
            return settings / "fish" / "completions" / "entrepot.fish"


def _own(environment: Mapping[str, str]) -> Shell:
    try:
        return Shell(Path(environment.get("SHELL", "")).name)
    except ValueError:
        raise InvalidError("say for which shell: bash, zsh or fish", "SHELL") from None
