# What zsh offers for a command line: types it into a real zsh on a terminal of its own (zsh/zpty), and presses the tab key.
# Arguments: the directory of the completions; a file for what is offered, one word a line; the command line.
zmodload zsh/zpty
directory=$1 offered=$2 line=$3
: >$offered
cat >$offered.rc <<RC
PROMPT=
fpath=($directory \$fpath)
autoload -Uz compinit && compinit -u -D
# compadd is how completions reach zsh; with -O, -A and -D it only answers questions of completions
compadd() {
  if [[ \${@[1,(i)(-|--)]} == *-(O|A|D)\ * ]]; then builtin compadd "\$@"; return; fi
  local -a words
  builtin compadd -O words "\$@"
  print -rl -- \$words >>$offered
  builtin compadd "\$@"
}
finish() { print -- '(end)' >>$offered }
comppostfuncs=(finish)
bindkey '^I' complete-word
print ready
RC
zpty terminal zsh -f -i
zpty -w terminal "source $offered.rc"
zpty -r terminal output '*ready*'
zpty -n -w terminal "$line"$'\t'
# until it has answered; the test has the clock
while [[ $(<$offered) != *'(end)'* ]]; do
  zpty -r -t terminal output
  sleep 0.05
done
zpty -d terminal
