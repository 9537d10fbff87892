package sqlite

import (
	"embed"
	"io/fs"
	"strings"
	"sync"
)

//go:embed queries/*.sql
var queryFiles embed.FS

// queries maps the name after "-- name: " to the statement below it.
var queries = sync.OnceValue(func() map[string]string { return loadQueries(queryFiles) })

// query returns the statement called name. It panics if there is none: a
// missing query is a mistake in the program, found by the first test.
func query(name string) string {
	q, ok := queries()[name]
	if !ok {
		panic("sqlite: no query named " + name)
	}
	return q
}

// unpeeked keeps SQLite from looking at the value of a LIMIT when it plans: a
// statement whose value it has seen is prepared anew each time that another, or the
// same, is bound, which costs more than most of ours.
var unpeeked = strings.NewReplacer("LIMIT ?", "LIMIT +?", "OFFSET ?", "OFFSET +?")

func loadQueries(files fs.FS) map[string]string {
	out := map[string]string{}
	names, err := fs.Glob(files, "queries/*.sql")
	if err != nil {
		panic(err)
	}
	for _, name := range names {
		text, err := fs.ReadFile(files, name)
		if err != nil {
			panic(err)
		}
		for _, part := range strings.Split(string(text), "-- name: ")[1:] {
			title, statement, _ := strings.Cut(part, "\n")
			title = strings.TrimSpace(title)
			if _, twice := out[title]; twice {
				panic("sqlite: two queries named " + title)
			}
			out[title] = unpeeked.Replace(withoutTail(statement))
		}
	}
	return withParts(out)
}

// withoutTail takes off what stands below a statement: comments on the next ones. The
// driver takes text behind a statement for a second one, and prepares such a script
// anew each time.
func withoutTail(statement string) string {
	for {
		statement = strings.TrimSpace(statement)
		i := strings.LastIndexByte(statement, '\n')
		if !strings.HasPrefix(statement[i+1:], "--") {
			return statement
		}
		statement = statement[:i+1]
	}
}

// withParts puts the texts called "part.x" where other statements have "{part.x}", so
// that statements which differ in one condition do not repeat the rest.
func withParts(all map[string]string) map[string]string {
	var pairs []string
	for name, text := range all {
		if strings.HasPrefix(name, "part.") {
			pairs = append(pairs, "{"+name+"}", text)
			delete(all, name)
		}
	}
	parts := strings.NewReplacer(pairs...)
	for name, text := range all {
		all[name] = parts.Replace(text)
	}
	return all
}
