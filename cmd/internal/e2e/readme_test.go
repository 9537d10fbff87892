package e2e_test

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// readmePrologue is what the commands of README.md take for granted.
const readmePrologue = `set -e
trap 'kill $(jobs -p); exit 0' INT TERM
TOKEN=$(cat data/admin.token)
api() {
	curl -sfH "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' "http://$HTTP/api/v1/$1" "${@:2}"
}
`

// scriptReadme writes the commands of a section of README.md into a file, for
// bash: readme FILE SECTION. Devices run in the background until killed; the script
// builds and serves by itself.
func scriptReadme(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: readme FILE SECTION")
	}
	text, err := os.ReadFile("../../../README.md")
	ts.Check(err)
	_, section, ok := strings.Cut(string(text), "\n## "+args[1]+"\n")
	if !ok {
		ts.Fatalf("README.md has no section %q", args[1])
	}
	section, _, _ = strings.Cut(section, "\n## ")
	here := strings.NewReplacer(
		"./bin/steward", "steward", "coap+tcp://127.0.0.1:5683", "coap+tcp://"+ts.Getenv("TCP"),
		"127.0.0.1:5683", ts.Getenv("COAP"), "127.0.0.1:5684", ts.Getenv("COAPS"))
	var out strings.Builder
	out.WriteString(readmePrologue)
	commands := false
	for line := range strings.Lines(section) {
		switch {
		case strings.HasPrefix(line, "```"):
			commands = strings.HasPrefix(line, "```sh")
		case commands && strings.HasPrefix(line, "./bin/steward device"):
			out.WriteString(here.Replace(strings.TrimSpace(line)) + " >>devices.log 2>&1 &\n")
		case strings.HasPrefix(line, "make ") || strings.HasPrefix(line, "./bin/steward serve"):
		case commands:
			out.WriteString(here.Replace(line))
		}
	}
	out.WriteString("wait\n")
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(out.String()), 0o600))
}

// scriptGuide writes all commands of a guide into a file, for bash: guide FILE NAME.
func scriptGuide(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: guide FILE NAME")
	}
	text, err := os.ReadFile("../../../docs/" + args[1] + ".md")
	ts.Check(err)
	out, commands := "set -e\n", 0
	for _, block := range strings.Split(string(text), "```sh\n")[1:] {
		block, _, _ = strings.Cut(block, "```")
		out += block
		commands += strings.Count(block, "\n")
	}
	if commands == 0 {
		ts.Fatalf("docs/%s.md has no commands", args[1])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(out), 0o600))
}

// scriptOnline waits until devices are registered: online HTTP TOKENFILE NAME...
func scriptOnline(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 3 {
		ts.Fatalf("usage: online ADDRESS TOKENFILE NAME...")
	}
	token := strings.TrimSpace(ts.ReadFile(args[1]))
	for _, name := range args[2:] {
		err := poll(context.Background(), 2*scriptLimit, func() error {
			_, body, err := fetch(context.Background(), "http://"+args[0]+"/api/v1/devices/ep:"+name, token)
			if err == nil && !strings.Contains(body, `"state":"online"`) && !strings.Contains(body, `"state":"asleep"`) {
				err = fmt.Errorf("%s: %s", name, body)
			}
			return err
		})
		ts.Check(err)
	}
}
