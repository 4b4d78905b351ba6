#!/usr/bin/python3
"""Makes a tool's manual page and bash completion out of what the tool says with --help.

    make_pages.py TOOL VERSION MAN-PAGE COMPLETION [SEE-ALSO...]

So the text of each option stands in the tool's source and nowhere else. Words that a tool takes
(run, record; info, events) are the lines `  WORD  text` behind the options; a word that has options
of its own, as `shadow-trace run --help` shows, gets a section of its own.
"""

import os
import re
import subprocess
import sys

OPTION = re.compile(r'^ +(?:-(\S)(?:, )?)?(?:--([\w-]+)(?:(\[?)=(\S+))?)?(?:  +(.*))?$')
WORD = re.compile(r'^  ([a-z][a-z-]*)  +(\S.*)$')
GENERAL = ('help', 'usage', 'version')
BOILERPLATE = 'Mandatory or optional arguments to long options'


class Help:
    """What `TOOL [WORD] --help` says, taken apart."""

    def __init__(self, text):
        head, _, rest = text.partition('\n\n')
        lines = head.split('\n')
        usage = [l.partition(':')[2].strip() if ':' in l else l.strip() for l in lines
                 if l.startswith(('Usage:', '  or:'))]
        self.usage = [u.partition(' ')[2] for u in usage]
        self.title = ' '.join(l.strip() for l in lines if not l.startswith(('Usage:', '  or:')))
        self.options, self.words, self.text = [], [], []
        for line in rest.split('\n'):
            self.take(line)

    def take(self, line):
        option, word = OPTION.match(line), WORD.match(line)
        if option and (option.group(1) or option.group(2)):
            short, name, optional, argument, text = option.groups()
            if name not in GENERAL:
                self.options.append((short, name, optional, argument, text or ''))
        elif word:
            self.words.append(word.groups())
        elif line.strip() and not line.startswith(BOILERPLATE):
            self.text.append(line.strip())


def ask(tool, *words):
    """One line an option, one a paragraph: nothing has to be put together again."""
    env = dict(os.environ, ARGP_HELP_FMT='opt-doc-col=70,rmargin=4000', LC_ALL='C.UTF-8',
               ASAN_OPTIONS='detect_leaks=0')
    said = subprocess.run([tool, *words, '--help'], env=env, stdout=subprocess.PIPE,
                          stdin=subprocess.DEVNULL, check=False, encoding='utf-8').stdout
    if not said.startswith('Usage:'):
        raise SystemExit(f'{tool} --help gives no help')
    return Help(said)


def sections(tool, top):
    """The words that have options of their own: [names, help], those with the same together."""
    found = []
    for word, _ in top.words:
        own = ask(tool, word)
        same = [f for f in found if f[1].options == own.options]
        if own.options == top.options:
            continue
        if same:
            same[0][0].append(word)
        else:
            found.append(([word], own))
    return found


# --- the manual page --------------------------------------------------------------------------

def roff(text):
    text = text.replace('\\', '\\e').replace('-', '\\-')
    return '\\&' + text if text[:1] in ('.', "'") else text


def roff_option(option):
    short, name, optional, argument, text = option
    forms = [f'\\fB\\-{short}\\fR'] if short else []
    if name:
        forms.append(f'\\fB\\-\\-{roff(name)}\\fR')
    line = ', '.join(forms)
    if argument:
        argument = '\\fI' + roff(argument.rstrip(']')) + '\\fR'
        line += f'[={argument}]' if optional else f'={argument}'
    return f'.TP\n{line}\n{roff(text)}\n'


def roff_usage(name, words, usage):
    lead = f'.B {name}' + (f' {"|".join(words)}' if words else '')
    return f'{lead}\n{roff(usage)}\n.br\n'


def manual(name, version, top, parts, see_also):
    page = [f'.TH {name.upper()} 1 "" "Shadow {version}" "Shadow"\n',
            f'.SH NAME\n{roff(name)} \\- {roff(top.title)}\n', '.SH SYNOPSIS\n']
    synopsis = [(words, u) for words, own in parts for u in own.usage] or \
        [([], u) for u in top.usage]
    page += [roff_usage(name, words, usage) for words, usage in synopsis]
    page.append('.SH DESCRIPTION\n')
    page += [f'.TP\n\\fB{roff(word)}\\fR\n{roff(text)}\n' for word, text in top.words]
    page += [f'.PP\n{roff(text)}\n' for text in top.text]
    for words, own in parts or [([], top)]:
        page.append('.SH OPTIONS' + (' OF ' + ' AND '.join(w.upper() for w in words)
                                     if words else '') + '\n')
        page += [roff_option(o) for o in own.options]
        page += [f'.PP\n{roff(text)}\n' for text in own.text if own is not top]
    page.append('.SH "SEE ALSO"\n' + ',\n'.join(f'.BR {roff(s)} (1)' for s in see_also) + '\n')
    return ''.join(page)


# --- the completion ---------------------------------------------------------------------------

def flags(options):
    forms = []
    for short, name, _, argument, _ in options:
        forms += [f'-{short}'] if short else []
        forms += [f'--{name}' + ('=' if argument else '')] if name else []
    return ' '.join(forms + ['--help', '--usage', '--version'])


def cases(options):
    """What follows an option that takes an argument: folders, files or nothing we know."""
    kinds = {'DIR': '-d', 'LOG': '-f', 'FILE': '-f', 'PATH': '-f'}
    lines = []
    for short, name, _, argument, _ in options:
        if argument:
            names = '|'.join(([f'-{short}'] if short else []) + ([f'--{name}'] if name else []))
            how = kinds.get(argument)
            lines.append(f'\t{names}) ' + (f'COMPREPLY=($(compgen {how} -- "$cur"))' if how
                                          else 'COMPREPLY=()') + '; return ;;\n')
    return ''.join(dict.fromkeys(lines))


COMPLETION = '''# bash completion of {name}; made from its --help.
_{function}()
{{
	local cur=${{COMP_WORDS[COMP_CWORD]}} prev=${{COMP_WORDS[COMP_CWORD-1]}} i
	local words='{words}' word='' options='{top}'

	# "=" is a word of its own.
	[ "$cur" = '=' ] && cur=''
	[ "$prev" = '=' ] && prev=${{COMP_WORDS[COMP_CWORD-2]}}
	for ((i = 1; i < COMP_CWORD; i++)); do
		if [ "${{COMP_WORDS[i]}}" = -- ]; then
			# The program: its own completion, where the shell has such a thing.
			if declare -F _command_offset >/dev/null; then
				_command_offset $((i + 1))
			else
				COMPREPLY=($(compgen -c -- "$cur"))
			fi
			return
		fi
		[[ " $words " = *" ${{COMP_WORDS[i]}} "* ]] && word=${{COMP_WORDS[i]}}
	done
{word_options}	case $prev in
{cases}	esac
	case $cur in
	-*)
		COMPREPLY=($(compgen -W "$options" -- "$cur"))
		[[ ${{COMPREPLY[0]-}} = *= ]] && compopt -o nospace 2>/dev/null
		;;
	*)
		[ -n "$word" ] || COMPREPLY=($(compgen -W "$words" -- "$cur"))
		{files}
		;;
	esac
}}
complete -o filenames -F _{function} {name}
'''


def completion(name, top, parts):
    options = top.options + [o for _, own in parts for o in own.options]
    chosen = ''.join(f"\t\t{'|'.join(words)}) options='{flags(own.options)}' ;;\n"
                     for words, own in parts)
    first = any('-- PROG' in u for _, own in parts for u in own.usage)
    return COMPLETION.format(
        name=name, function=name.replace('-', '_'), words=' '.join(w for w, _ in top.words),
        top=flags(top.options), cases=cases(options),
        word_options=f'\tcase $word in\n{chosen}\tesac\n' if chosen else '',
        files=':' if first else 'COMPREPLY+=($(compgen -f -- "$cur"))')


def main():
    tool, version, page, complete, *see_also = sys.argv[1:]
    name = os.path.basename(tool)
    top = ask(tool)
    parts = sections(tool, top)
    with open(page, 'w', encoding='utf-8') as f:
        f.write(manual(name, version, top, parts, [s for s in see_also if s != name]))
    with open(complete, 'w', encoding='utf-8') as f:
        f.write(completion(name, top, parts))


if __name__ == '__main__':
    main()
