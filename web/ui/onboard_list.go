package ui

import (
	"net/http"
	"strings"
	"unicode/utf8"

	"steward/web"
	"steward/web/onboard"
)

// An onboardListPage is a list of devices: what was checked, and what became of it.
type onboardListPage struct {
	Text    string // what is left to be done, as it stands in the form
	Lines   []listLine
	Good    int // lines that can be imported
	Done    int
	Refused int
	Error   string // why nothing of it can be read; "" if it can
	Columns []string
}

// A listLine is one device of the list.
type listLine struct {
	Number   int
	Endpoint string
	Security onboard.Security
	Tags     []string
	Known    string // id of the device that has the name already; "" for none
	Device   string // id of the device that was let in
	Problem  string
}

func (u *UI) onboardList(w http.ResponseWriter, r *http.Request) error {
	return u.showOnboardList(w, r, http.StatusOK, onboardListPage{})
}

func (u *UI) showOnboardList(w http.ResponseWriter, r *http.Request, status int, page onboardListPage) error {
	page.Columns = onboard.Columns()
	return u.show(w, r, status, "onboard_list", "onboard", "Onboard a list", page)
}

// takeList checks a list, lets its devices in, or prints their labels. What cannot be
// used, or was refused, stays in the form.
func (u *UI) takeList(w http.ResponseWriter, r *http.Request) error {
	file, err := readUpload(r, "file")
	if err != nil {
		return &web.Error{Is: web.ErrInvalid, Detail: "not a form", Cause: err}
	}
	page := onboardListPage{Text: r.PostFormValue("text")}
	if len(file) > 0 {
		page.Text = string(file)
	}
	if !utf8.ValidString(page.Text) {
		page.Text, page.Error = strings.ToValidUTF8(page.Text, "�"), "The text is not UTF-8."
		return u.showOnboardList(w, r, http.StatusUnprocessableEntity, page)
	}
	list, err := onboard.ParseList(page.Text)
	if err != nil {
		page.Error = upperFirst(err.Error()) + "."
		return u.showOnboardList(w, r, http.StatusUnprocessableEntity, page)
	}
	switch r.PostFormValue("then") {
	case "labels":
		return u.listLabels(w, r, list)
	case "import":
		page = u.importList(r, list)
	default:
		page.Lines = u.checkList(r, list)
		for _, l := range page.Lines {
			if l.Problem == "" {
				page.Good++
			}
		}
	}
	return u.showOnboardList(w, r, http.StatusOK, page)
}

func newListLine(l onboard.Line) listLine {
	out := listLine{Number: l.Number, Endpoint: l.Entry.Endpoint, Security: l.Entry.Security, Tags: l.Entry.Tags}
	if l.Problem != nil {
		out.Problem = upperFirst(strings.ReplaceAll(strings.TrimPrefix(l.Problem.Error(), onboard.ErrEntry.Error()+": "),
			"\n"+onboard.ErrEntry.Error()+": ", "; ")) + "."
	}
	return out
}

// checkList says of each line what would become of it.
func (u *UI) checkList(r *http.Request, list onboard.List) (out []listLine) {
	may := web.ActorFrom(r.Context()).Role.Includes(web.RoleSecurity)
	for _, l := range list.Lines {
		line := newListLine(l)
		if line.Problem == "" && l.Entry.HoldsKey() && !may {
			line.Problem = "A key needs the role security."
		}
		if l.Entry.Endpoint != "" {
			if d, err := u.findDevice(r, "ep:"+l.Entry.Endpoint); err == nil {
				line.Known = d.ID
			}
		}
		out = append(out, line)
	}
	return out
}

// importList lets in what can be used.
func (u *UI) importList(r *http.Request, list onboard.List) (page onboardListPage) {
	left := []string{list.Header}
	for _, l := range list.Lines {
		line := newListLine(l)
		if line.Problem == "" {
			d, err := u.admit(r, l.Entry)
			if err == nil {
				line.Device, line.Endpoint = d.ID, d.Endpoint
			} else if line.Problem, _ = reason(r, err); line.Problem == "" {
				web.LogError(r, u.o.Log, err)
				line.Problem = "This server failed; the log says why."
			}
		}
		if line.Problem == "" {
			page.Done++
		} else {
			page.Refused++
			left = append(left, l.Text)
		}
		page.Lines = append(page.Lines, line)
	}
	if page.Refused > 0 {
		page.Text = strings.Join(left, "\n") + "\n"
	}
	return page
}

// listLabels prints the labels of a list, with the keys that stand in it.
func (u *UI) listLabels(w http.ResponseWriter, r *http.Request, list onboard.List) error {
	page := labelsPage{}
	for _, l := range list.Lines {
		if l.Problem != nil {
			continue
		}
		if len(page.Labels) == maxLabels {
			page.More = true
			break
		}
		made, err := newLabel(l.Entry, true)
		if err != nil {
			return err
		}
		page.Secrets = page.Secrets || len(l.Entry.Key) > 0
		page.Labels = append(page.Labels, made)
	}
	return u.show(w, r, http.StatusOK, "labels", "onboard", "Labels", page)
}
