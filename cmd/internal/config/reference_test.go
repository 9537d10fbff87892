package config_test

import (
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"

	"steward/cmd/internal/config"
	"steward/lwm2m/machine/machinetest"
)

var update = flag.Bool("update", false, "rewrite golden files")

// TestReference keeps the reference of the settings file as its types say it.
func TestReference(t *testing.T) {
	comments := fieldComments(t)
	var b strings.Builder
	b.WriteString("# Settings\n\nMade from the program by `make golden`. The file is TOML and is named by `--config`; a " +
		"flag of `steward serve` with the name of a key goes before it. Unknown keys are refused.\n")
	describe(&b, comments, "", reflect.ValueOf(config.Default()))
	machinetest.Golden(t, "../../../docs/reference/configuration.md", b.String(), *update)
}

// describe writes the keys of a table, then the tables below it.
func describe(b *strings.Builder, comments map[string]string, name string, v reflect.Value) {
	type inner struct {
		name string
		v    reflect.Value
	}
	var tables []inner
	title := "## At the top"
	if name != "" {
		title = "## `[" + name + "]`"
	}
	fmt.Fprintf(b, "\n%s\n\n", title)
	if said := comments[v.Type().Name()]; said != "" && name != "" {
		fmt.Fprintf(b, "%s\n\n", said)
	}
	b.WriteString("| key | default | means |\n|---|---|---|\n")
	for i := range v.NumField() {
		f := v.Type().Field(i)
		key := f.Tag.Get("toml")
		if key == "" || key == "-" {
			continue
		}
		below := strings.TrimPrefix(name+"."+key, ".")
		kind := f.Type
		switch {
		case kind.Kind() == reflect.Struct && kind.NumField() > 0 && hasKeys(kind):
			tables = append(tables, inner{below, v.Field(i)})
		case kind.Kind() == reflect.Map && kind.Elem().Kind() == reflect.Struct && hasKeys(kind.Elem()):
			tables = append(tables, inner{below + ".NAME", reflect.New(kind.Elem()).Elem()})
		default:
			said := strings.NewReplacer("|", `\|`, "\n", " ", "<", "&lt;").Replace(comments[v.Type().Name()+"."+f.Name])
			fmt.Fprintf(b, "| `%s` | %s | %s |\n", key, defaultOf(key, v.Field(i)), said)
		}
	}
	for _, t := range tables {
		describe(b, comments, t.name, t.v)
	}
}

func hasKeys(t reflect.Type) bool {
	for f := range t.Fields() {
		if f.Tag.Get("toml") != "" {
			return true
		}
	}
	return false
}

// defaultOf is the value as the file would say it; "" for none.
func defaultOf(key string, v reflect.Value) string {
	if v.IsZero() {
		return ""
	}
	var out bytes.Buffer
	if err := toml.NewEncoder(&out).Encode(map[string]any{key: v.Interface()}); err != nil {
		return ""
	}
	_, value, _ := strings.Cut(strings.TrimSpace(out.String()), " = ")
	return "`" + value + "`"
}

// fieldComments returns what the sources say of types and fields, by "Type" and
// "Type.Field".
func fieldComments(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			if d, ok := d.(*ast.GenDecl); ok {
				comment(out, d)
			}
		}
	}
	return out
}

// comment adds what a declaration says of its types and their fields.
func comment(out map[string]string, d *ast.GenDecl) {
	for _, spec := range d.Specs {
		s, ok := spec.(*ast.TypeSpec)
		if !ok {
			continue
		}
		out[s.Name.Name] = strings.TrimSpace(d.Doc.Text())
		structure, ok := s.Type.(*ast.StructType)
		if !ok {
			continue
		}
		for _, f := range structure.Fields.List {
			for _, n := range f.Names {
				out[s.Name.Name+"."+n.Name] = strings.TrimSpace(f.Doc.Text() + " " + f.Comment.Text())
			}
		}
	}
}
