package services

import (
	"steward/web"
)

// errCursor refuses a cursor that no list handed out.
func errCursor() error { return web.Invalid("page_token", "not one of ours") }

// paged makes a list of rows that were read with one more than the page takes.
// cursor names the row after which the next part begins.
func paged[R, T any](p web.Page, rows []R, cursor func(R) string, show func(R) (T, error)) (web.List[T], error) {
	size := pageSize(p)
	out := web.List[T]{Items: make([]T, 0, min(len(rows), size))}
	if len(rows) > size {
		rows = rows[:size]
		out.Next = cursor(rows[size-1])
	}
	for _, r := range rows {
		item, err := show(r)
		if err != nil {
			return web.List[T]{}, translate(err)
		}
		out.Items = append(out.Items, item)
	}
	return out, nil
}

// pageSize keeps the size of a page within its bounds.
func pageSize(p web.Page) int {
	if p.Size <= 0 {
		return web.DefaultPageSize
	}
	return min(p.Size, web.MaxPageSize)
}

// limit is how many rows to read for a page: one more tells whether another
// follows.
func limit(p web.Page) int { return pageSize(p) + 1 }
