"""Print a script that completes kctl's command lines, with the names that are there, in bash, zsh or fish.

bash:  source <(kctl completion bash)
zsh:   source <(kctl completion zsh)
fish:  kctl completion fish | source
"""

from __future__ import annotations

from kctl.errors import UsageError
from kctl.flags import Flags, Values

BASH = r"""# bash completion for kctl: source <(kctl completion bash)
_kctl() {
    local cur words line
    cur="${COMP_LINE:0:COMP_POINT}"
    # words as they are typed, not as COMP_WORDBREAKS cuts them
    read -ra words <<<"$cur"
    [[ "$cur" == *[[:space:]] ]] && words+=("")
    cur="${words[-1]}"
    COMPREPLY=()
    while IFS= read -r line; do
        if [[ "$line" == $'\e' ]]; then
            compopt -o filenames 2>/dev/null
            mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "$cur")
        else
            COMPREPLY+=("${line%%$'\t'*}")
        fi
    done < <("${words[0]}" __complete "${words[@]:1}" 2>/dev/null)
    # bash replaces only what follows the last word break
    local cut="${cur%"${cur##*[:=]}"}"
    [[ -n "$cut" ]] && COMPREPLY=("${COMPREPLY[@]#"$cut"}")
    [[ ${#COMPREPLY[@]} -eq 1 && "${COMPREPLY[0]}" == *[/=:] ]] && compopt -o nospace 2>/dev/null
    return 0
}
complete -o default -F _kctl kctl
"""
ZSH = r"""#compdef kctl
# zsh completion for kctl: source <(kctl completion zsh)
_kctl() {
    local line name
    local -a plain shown described
    for line in "${(@f)$("${words[1]}" __complete "${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
        [[ -z "$line" ]] && continue
        if [[ "$line" == $'\e' ]]; then
            _files
            continue
        fi
        name="${line%%$'\t'*}"
        plain+=("$name")
        [[ "$line" == *$'\t'* ]] && described+=("$name  -- ${line#*$'\t'}") || described+=("$name")
    done
    (( ${#plain} )) && compadd -l -d described -a plain
}
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit }
compdef _kctl kctl
"""
FISH = r"""# fish completion for kctl: kctl completion fish | source
function __kctl_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    for line in (command $words[1] __complete $words[2..-1] "$current" 2>/dev/null)
        if test "$line" = \e
            __fish_complete_path "$current"
        else
            echo $line
        end
    end
end
complete -c kctl -f -a '(__kctl_complete)'
"""
SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH}


def configure(flags: Flags) -> None:
    """Declare the flags."""
    flags.usage = "bash|zsh|fish"


def run(values: Values) -> int:
    """Print it."""
    if len(values.words) != 1:
        raise UsageError("say for which shell: kctl completion bash, zsh or fish")
    script = SCRIPTS.get(values.words[0])
    if script is None:
        raise UsageError(f"unsupported shell type {values.words[0]!r}: bash, zsh and fish are known")
    print(script, end="")
    return 0
