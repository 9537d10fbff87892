package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// What a stranger uses, by version.
const (
	generator = "github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen@v2.5.0"
	runtime   = "github.com/oapi-codegen/runtime@v1.1.1"
)

const strangerMain = `package main

import (
	"context"
	"fmt"
	"net/http"
	"os"

	"stranger/steward"
)

func main() {
	bearer := func(_ context.Context, r *http.Request) error {
		r.Header.Set("Authorization", "Bearer "+os.Args[2])
		return nil
	}
	c, err := steward.NewClientWithResponses(os.Args[1], steward.WithRequestEditorFn(bearer))
	if err != nil {
		panic(err)
	}
	size := 1
	p := steward.ListDevicesParams{PageSize: &size}
	for {
		list, err := c.ListDevicesWithResponse(context.Background(), &p)
		if err != nil {
			panic(err)
		}
		if list.JSON200 == nil {
			panic(list.Status())
		}
		for _, d := range list.JSON200.Items {
			fmt.Println(d.Endpoint)
		}
		if list.JSON200.NextPageToken == nil {
			return
		}
		p.PageToken = list.JSON200.NextPageToken
	}
}
`

// TestStranger has a public generator make a client from the contract that a live
// provider serves, compiles it in a module of its own, and lists devices with it.
func TestStranger(t *testing.T) {
	slow(t)
	t.Parallel()
	p := serve(t, "alpha")
	for _, name := range []string{"one", "two"} {
		if err := p.do(t.Context(), "POST", "/api/v1/devices", map[string]string{"endpoint": name}, nil); err != nil {
			t.Fatal(err)
		}
	}
	var doc map[string]any
	p.get(t, "/api/v1/openapi-3.0.json", &doc)
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "steward"), 0o750); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"openapi.json": jsonText(t, doc), "main.go": strangerMain} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	try := func(program string, args ...string) error {
		cmd := exec.CommandContext(ctx, program, args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOBIN="+dir)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s %s: %w\n%.4000s", program, strings.Join(args, " "), err, out)
		}
		return nil
	}
	run := func(program string, args ...string) {
		t.Helper()
		if err := try(program, args...); err != nil {
			t.Fatal(err)
		}
	}
	run("go", "mod", "init", "stranger")
	for _, fetch := range [][]string{{"install", generator}, {"get", runtime}} {
		if err := try("go", fetch...); err != nil {
			t.Skipf("NOT TESTED by a client that others generate: %v", err)
		}
	}
	run(filepath.Join(dir, "oapi-codegen"), "-generate", "types,client", "-package", "steward",
		"-o", "steward/client.gen.go", "openapi.json")
	run("go", "build", "-o", "stranger", ".")
	list := exec.CommandContext(ctx, filepath.Join(dir, "stranger"), p.base, p.token)
	out, err := list.Output()
	if err != nil || string(out) != "one\ntwo\n" {
		t.Errorf("the stranger's client says %q, %v", out, err)
	}
}

func jsonText(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
