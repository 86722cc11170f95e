set -l commands list show disconnect terminate
complete -c wrdctl -f
complete -c wrdctl -n "not __fish_seen_subcommand_from $commands" -a list -d "the sessions"
complete -c wrdctl -n "not __fish_seen_subcommand_from $commands" -a show -d "one session"
complete -c wrdctl -n "not __fish_seen_subcommand_from $commands" -a disconnect -d "end the connection, keep the desktop"
complete -c wrdctl -n "not __fish_seen_subcommand_from $commands" -a terminate -d "end the session"
complete -c wrdctl -n "__fish_seen_subcommand_from show disconnect terminate" -a "(__fish_complete_users)"
complete -c wrdctl -n "__fish_seen_subcommand_from terminate" -l all -d "every session"
complete -c wrdctl -l socket -r -F -d "where wrd-dm answers"
complete -c wrdctl -l json -d "print JSON"
complete -c wrdctl -l help -d "say how it is used"
complete -c wrdctl -l version -d "print the version"
