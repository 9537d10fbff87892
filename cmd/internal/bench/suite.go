package bench

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// SuiteOptions configure Suite.
type SuiteOptions struct {
	Quick    bool      // small numbers, for minutes instead of half an hour
	GoCoAP   string    // path of the program in testdata/gocoap; "": it is left out
	Dir      string    // as Options.Dir
	Progress io.Writer // receives lines for people; nil: nobody
}

// Suite does every measurement of BENCHMARKS.md, one after the other, each by a
// process of its own, and writes the figures to w as Markdown, beside the targets.
// A measurement that fails says so in its row, and in the error.
func Suite(ctx context.Context, o SuiteOptions, w io.Writer) error {
	if o.Progress == nil {
		o.Progress = io.Discard
	}
	if _, err := fmt.Fprintf(w, "%s\n", machine()); err != nil {
		return err
	}
	var failed []error
	for _, g := range suite() {
		if err := g.run(ctx, o, w, &failed); err != nil {
			return err
		}
	}
	return errors.Join(failed...)
}

// machine describes where the figures come from.
func machine() string {
	model := runtime.GOARCH
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		if _, rest, ok := strings.Cut(string(text), "model name\t: "); ok {
			model, _, _ = strings.Cut(rest, "\n")
		}
	}
	kernel, load := "", "unknown"
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		kernel = unix.ByteSliceToString(u.Release[:])
	}
	if text, err := os.ReadFile("/proc/loadavg"); err == nil {
		load, _, _ = strings.Cut(string(text), " ")
	}
	return fmt.Sprintf("%d × %s, Linux %s, %s, %s, load average %s before.", runtime.NumCPU(), model, kernel,
		runtime.Version(), time.Now().Format("2 January 2006"), load)
}

// run does the measurements of a group and writes its table.
func (g *group) run(ctx context.Context, o SuiteOptions, w io.Writer, failed *[]error) error {
	columns := append([]string{g.title}, g.columns...)
	columns = append(columns, "target", "reached")
	var table strings.Builder
	table.WriteString("\n| " + strings.Join(columns, " | ") + " |\n|" + strings.Repeat("---|", len(columns)) + "\n")
	for _, it := range g.items {
		began := time.Now()
		r, err := it.measure(ctx, o)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		cells := []string{it.name}
		if err != nil {
			*failed = append(*failed, fmt.Errorf("%s: %w", it.name, err))
			cells = append(cells, make([]string, len(g.columns))...)
			cells = append(cells, it.target, "failed")
		} else {
			if it.seen != nil {
				it.seen(r)
			}
			cells = append(append(cells, g.cells(r)...), it.target, it.verdict(r))
		}
		row := "| " + strings.Join(cells, " | ") + " |\n"
		_, _ = fmt.Fprintf(o.Progress, "%4.0f s  %s", time.Since(began).Seconds(), row) // talk
		table.WriteString(row)
	}
	_, err := io.WriteString(w, table.String())
	return err
}

// verdict says whether the target is reached.
func (it *item) verdict(r *Result) string {
	switch {
	case it.met == nil:
		return ""
	case it.met(r):
		return "yes"
	default:
		return "no"
	}
}

// measure runs "bench" with the item's arguments and reads its JSON.
func (it *item) measure(ctx context.Context, o SuiteOptions) (*Result, error) {
	args := append(append([]string{"bench"}, it.args...), "--json")
	if o.Quick {
		args = append(args, it.quick...)
	}
	if o.Dir != "" {
		args = append(args, "--dir", o.Dir)
	}
	if it.gocoap {
		if o.GoCoAP == "" {
			return &Result{Note: "left out"}, nil
		}
		more, stop, err := startGoCoAP(ctx, o.GoCoAP)
		if err != nil {
			return nil, err
		}
		defer stop()
		args = append(args, more...)
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	var out, talk bytes.Buffer
	cmd := exec.CommandContext(ctx, self, args...) //nolint:gosec // G204: this binary itself
	cmd.Stdout, cmd.Stderr = &out, &talk
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := cmd.Run(); err != nil {
		const most = 400
		return nil, fmt.Errorf("%w: %s", err, bytes.TrimSpace(talk.Bytes()[max(0, talk.Len()-most):]))
	}
	r := &Result{}
	return r, json.Unmarshal(out.Bytes(), r)
}

// startGoCoAP starts the other server and returns the arguments that its greeting
// "coaps://…, process N, --psk HEX" means.
func startGoCoAP(ctx context.Context, path string) (args []string, stop func(), err error) {
	cmd := exec.CommandContext(ctx, path)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, nil, err
	}
	stop = func() {
		_ = cmd.Process.Kill() // it has no other end
		_ = cmd.Wait()
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		stop()
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	fields := strings.FieldsFunc(line, func(c rune) bool { return c == ' ' || c == ',' || c == '\n' })
	const uri, process, key, all = 0, 2, 4, 5
	if len(fields) != all {
		stop()
		return nil, nil, fmt.Errorf("%w: %s says %q", ErrServer, path, line)
	}
	return []string{"--server", fields[uri], "--pid", fields[process], "--psk", fields[key]}, stop, nil
}
