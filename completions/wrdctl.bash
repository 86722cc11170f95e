# bash completion of wrdctl
_wrdctl() {
  local cur=${COMP_WORDS[COMP_CWORD]} word command=
  COMPREPLY=()
  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case $word in list|show|disconnect|terminate|status|enroll|forget|enrolled) command=$word ;; esac
  done
  if [[ $cur == -* ]]; then
    local options="--json --socket --help --version"
    [[ $command == terminate ]] && options+=" --all"
    mapfile -t COMPREPLY < <(compgen -W "$options" -- "$cur")
  elif [[ -z $command ]]; then
    mapfile -t COMPREPLY < <(compgen -W "list show disconnect terminate status enroll forget enrolled" -- "$cur")
  elif [[ $command != @(list|status|enrolled) ]]; then
    mapfile -t COMPREPLY < <(compgen -u -- "$cur")
  fi
}
complete -F _wrdctl wrdctl
