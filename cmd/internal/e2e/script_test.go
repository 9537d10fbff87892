package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestScripts runs testdata/*.txtar: each is a session at the command line.
func TestScripts(t *testing.T) { runScripts(t, "testdata") }

// TestT21Restored is T21 of the transfer protocol (§9), its second half: an old backup is
// restored after kill -9. What was revoked since stays revoked, the rights are closed, the
// report names them, and nobody enrols before people decide.
func TestT21Restored(t *testing.T) { runScripts(t, "testdata/restore") }

func runScripts(t *testing.T, dir string) {
	t.Helper()
	migrations, err := filepath.Abs("../sqlite/migrations")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Setup: func(e *testscript.Env) error {
			e.Setenv("MIGRATIONS", migrations)
			return nil
		},
		Condition: func(cond string) (bool, error) {
			if cond != "tmpfs" {
				return false, fmt.Errorf("unknown condition %q", cond)
			}
			dir := t.TempDir()
			if exec.Command("mount", "-t", "tmpfs", "none", dir).Run() != nil {
				return false, nil //nolint:nilerr // who may not mount has none
			}
			return true, exec.Command("umount", dir).Run()
		},
		Dir: dir, UpdateScripts: *update, RequireExplicitExec: true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"addresses": scriptAddresses, "ready": scriptReady, "terminate": scriptTerminate,
			"status": scriptStatus, "http": scriptHTTP, "perm": scriptPerm, "capture": scriptCapture,
			"readme": scriptReadme, "guide": scriptGuide, "online": scriptOnline, "listening": scriptListening,
			"tmpfs": scriptTmpfs, "order": scriptOrder, "until": scriptUntil,
		},
	})
}

// scriptAddresses sets each variable named to an address with a free port:
// addresses HTTP COAPS. HOST is set to the loopback address they share.
func scriptAddresses(ts *testscript.TestScript, _ bool, names []string) {
	host, err := freeHost()
	ts.Check(err)
	ts.Setenv("HOST", host)
	for _, name := range names {
		addr, err := freeAddr(host)
		ts.Check(err)
		ts.Setenv(name, addr)
	}
}

// scriptLimit is what a process of a script may take to start, on a slow machine under the
// race detector.
const scriptLimit = time.Minute

// scriptReady waits until the dashboard at an address answers.
func scriptReady(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: ready ADDRESS")
	}
	err := poll(context.Background(), scriptLimit, func() error {
		code, _, err := fetch(context.Background(), "http://"+args[0]+"/readyz", "")
		if err == nil && code != http.StatusOK {
			err = fmt.Errorf("readyz: status %d", code)
		}
		return err
	})
	ts.Check(err)
}

// scriptListening waits until somebody listens at an address.
func scriptListening(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: listening ADDRESS")
	}
	ts.Check(poll(context.Background(), scriptLimit, func() error {
		conn, err := net.Dial("tcp", args[0])
		if err != nil {
			return err
		}
		return conn.Close()
	}))
}

// scriptTmpfs mounts a small file system until the script ends: tmpfs DIR SIZE.
func scriptTmpfs(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: tmpfs DIR SIZE")
	}
	dir := ts.MkAbs(args[0])
	ts.Check(os.Mkdir(dir, 0o700))
	ts.Check(exec.Command("mount", "-t", "tmpfs", "-o", "size="+args[1], "none", dir).Run())
	ts.Defer(func() { _ = exec.Command("umount", "-l", dir).Run() })
}

// scriptCapture sets a variable to what the first group of an expression matches in
// the last stdout: capture ID '^id +(\S+)'.
func scriptCapture(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: capture VARIABLE EXPRESSION")
	}
	m := regexp.MustCompile("(?m)" + args[1]).FindStringSubmatch(ts.ReadFile("stdout"))
	if len(m) != 2 {
		ts.Fatalf("no match for %q", args[1])
	}
	ts.Setenv(args[0], m[1])
}

// scriptTerminate sends SIGTERM to all commands in the background.
func scriptTerminate(ts *testscript.TestScript, _ bool, _ []string) {
	for _, cmd := range ts.BackgroundCmds() {
		ts.Check(cmd.Process.Signal(syscall.SIGTERM))
	}
}

// scriptStatus runs a command in the foreground and demands its exit status:
// status 2 steward nonsense. "stdout" and "stderr" then look at what it printed.
func scriptStatus(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: status N PROGRAM [ARGUMENT...]")
	}
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if fmt.Sprint(got) != args[0] {
		ts.Fatalf("%s: exit status %d, want %s", strings.Join(args[1:], " "), got, args[0])
	}
}

// scriptHTTP fetches a URL, demands the status, and prints the body:
// http 200 http://$HTTP/livez [token file].
func scriptHTTP(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 || len(args) > 3 {
		ts.Fatalf("usage: http STATUS URL [TOKENFILE]")
	}
	token := ""
	if len(args) == 3 {
		token = strings.TrimSpace(ts.ReadFile(args[2]))
	}
	code, body, err := fetch(context.Background(), args[1], token)
	ts.Check(err)
	_, err = io.WriteString(ts.Stdout(), body)
	ts.Check(err)
	if fmt.Sprint(code) != args[0] {
		ts.Fatalf("GET %s: status %d, want %s", args[1], code, args[0])
	}
}

// scriptPerm demands the permissions of a file: perm 600 data/admin.token.
func scriptPerm(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: perm OCTAL FILE")
	}
	info, err := os.Stat(ts.MkAbs(args[1]))
	ts.Check(err)
	if got := fmt.Sprintf("%o", info.Mode().Perm()); got != args[0] {
		ts.Fatalf("%s: permissions %s, want %s", filepath.Base(args[1]), got, args[0])
	}
}
