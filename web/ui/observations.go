package ui

import (
	"net/http"
	"strings"

	"steward/web"
)

// An observationsPage lists the templates.
type observationsPage struct{ Templates []web.ObservationTemplate }

func (u *UI) observations(w http.ResponseWriter, r *http.Request) error {
	all, err := u.s.Observations.ObservationTemplates(r.Context())
	if err != nil {
		return err
	}
	return u.show(w, r, http.StatusOK, "observations", "groups", "Observations", observationsPage{all})
}

func (u *UI) putTemplate(w http.ResponseWriter, r *http.Request) error {
	const page = "/observations"
	in := web.ObservationTemplate{
		Name: strings.TrimSpace(r.PostFormValue("name")), Tag: strings.TrimSpace(r.PostFormValue("tag")),
	}
	for line := range strings.Lines(r.PostFormValue("observations")) {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		paths := strings.Split(words[0], ",")
		in.Observations = append(in.Observations, web.WantedObservation{
			Paths: paths, Composite: len(paths) > 1, Attributes: words[1:],
		})
	}
	t, err := u.s.Observations.PutObservationTemplate(r.Context(), web.ActorFrom(r.Context()), in)
	return u.done(w, r, err, page, "Template "+t.Name+" is stored. Devices are asked now or when they register.", page)
}

func (u *UI) removeTemplate(w http.ResponseWriter, r *http.Request) error {
	const page = "/observations"
	name := r.PostFormValue("name")
	err := u.s.Observations.RemoveObservationTemplate(r.Context(), web.ActorFrom(r.Context()), name)
	return u.done(w, r, err, page, "Template "+name+" is gone.", page)
}
