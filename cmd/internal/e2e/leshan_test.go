package e2e_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// leshanDir is where the source of the device made of Eclipse Leshan's client
// stands, with the libraries that it needs and their digests.
const leshanDir = "testdata/leshan"

// mavenLimit bounds the download of Leshan's libraries, which is needed once.
const mavenLimit = 3 * time.Minute

// A leshanKit runs devices made of Eclipse Leshan's client.
type leshanKit struct{ classes string }

// newLeshan fetches the libraries, unless a run before did, and compiles the
// device. Without the libraries, t is skipped; whatever is wrong with them, or with
// Java, fails it.
func newLeshan(t *testing.T) leshanKit {
	t.Helper()
	for _, program := range []string{"java", "javac", "mvn"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Fatalf("%v: .ci/run installs it", err)
		}
	}
	sums, err := os.ReadFile(filepath.Join(leshanDir, "SHA256SUMS"))
	if err != nil {
		t.Fatal(err)
	}
	jars := filepath.Join(cacheDir(), "leshan-"+hexSum(sums)[:16])
	if _, err := os.Stat(jars); err != nil {
		fetchJars(t, jars)
	}
	paths := checkSums(t, jars, sums)
	d := newDesk(t)
	source, err := filepath.Abs(filepath.Join(leshanDir, "Client.java"))
	if err != nil {
		t.Fatal(err)
	}
	d.run(t, "javac", "-cp", strings.Join(paths, ":"), "-d", d.dir, source)
	return leshanKit{classes: strings.Join(append(paths, d.dir), ":")}
}

// fetchJars lets Maven, as the user has configured it, put the libraries into dir.
func fetchJars(t *testing.T, dir string) {
	t.Helper()
	part := fmt.Sprint(dir, ".", os.Getpid()) // renamed when complete
	if err := os.MkdirAll(part, 0o700); err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(part)
	ctx, cancel := context.WithTimeout(t.Context(), mavenLimit)
	defer cancel()
	text, err := exec.CommandContext(ctx, "mvn", "-B", "-f", filepath.Join(leshanDir, "pom.xml"),
		"org.apache.maven.plugins:maven-dependency-plugin:2.8:copy-dependencies", "-DincludeScope=runtime",
		"-DoutputDirectory="+part).CombinedOutput()
	if err != nil {
		t.Logf("%s", text)
		t.Skipf("NOT TESTED against Eclipse Leshan: its libraries cannot be fetched: %v", err)
	}
	if err := os.Rename(part, dir); err != nil && !errors.Is(err, os.ErrExist) && !errors.Is(err, syscall.ENOTEMPTY) {
		t.Fatal(err)
	}
}

// checkSums compares the libraries in dir with sums, in the format of sha256sum,
// and returns their paths.
func checkSums(t *testing.T, dir string, sums []byte) (paths []string) {
	t.Helper()
	for line := range strings.Lines(string(sums)) {
		want, name, _ := strings.Cut(strings.TrimSpace(line), "  ")
		path := filepath.Join(dir, name)
		jar, err := os.ReadFile(path)
		if err != nil {
			t.Fatalf("%v: delete %s to fetch it again", err, dir)
		}
		if sum := sha256.Sum256(jar); hex.EncodeToString(sum[:]) != want {
			t.Fatalf("%s has the SHA-256 %x, want %s: delete %s to fetch it again", name, sum, want, dir)
		}
		paths = append(paths, path)
	}
	return paths
}

// A leshan is one running device.
type leshan struct {
	*process
	stdin io.Writer
	read  int // how much of its events has been waited for
}

// start runs a device with arguments of its own, name=value.
func (k leshanKit) start(t *testing.T, endpoint string, args ...string) *leshan {
	t.Helper()
	p := &process{name: endpoint, out: &tail{}, log: &tail{}, ended: make(chan struct{})}
	p.cmd = exec.Command("java", append([]string{
		"-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx128m", "-cp", k.classes, "Client", "endpoint=" + endpoint,
	}, args...)...)
	p.cmd.Dir = t.TempDir() // Californium keeps its settings there
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	stdin, err := p.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.ended)
	}()
	showOnFailure(t, endpoint, p.log)
	showOnFailure(t, "events of "+endpoint, p.out)
	t.Cleanup(p.kill)
	return &leshan{process: p, stdin: stdin}
}

// say gives the device a command.
func (l *leshan) say(t *testing.T, command string) {
	t.Helper()
	if _, err := fmt.Fprintln(l.stdin, command); err != nil {
		t.Fatal(err)
	}
}

// hear waits for the next event that begins like this, and returns it.
func (l *leshan) hear(t *testing.T, event string) (line string) {
	t.Helper()
	eventually(t, onlineLimit, "event "+event, func() error {
		text := []byte(l.out.String())[l.read:]
		for part := range bytes.Lines(text) {
			if bytes.HasPrefix(part, []byte("event "+event)) && bytes.HasSuffix(part, []byte("\n")) {
				line = strings.TrimSpace(string(part))
				l.read += bytes.Index(text, part) + len(part) // not by the length of now: it goes on writing
				return nil
			}
		}
		return errors.Join(l.alive(), fmt.Errorf("events %q", text))
	})
	return line
}
