package web_test

import (
	"errors"
	"net/url"
	"testing"

	"steward/web"
)

func TestParseCertificateFilter(t *testing.T) {
	for _, tt := range []struct {
		query string
		want  web.CertificateFilter
		err   error
	}{
		{"", web.CertificateFilter{}, nil},
		{"state=live&q=a&device=d", web.CertificateFilter{State: "live", Text: "a", Device: "d"}, nil},
		{
			"kind=k&profile=p&issuer=i&key=s",
			web.CertificateFilter{Kind: "k", Profile: "p", Issuer: "i", Key: "s"},
			nil,
		},
		{"within=30&kind=k", web.CertificateFilter{Within: 30, Kind: "k"}, nil},
		{"within=0", web.CertificateFilter{}, web.ErrInvalid},
		{"within=4000", web.CertificateFilter{}, web.ErrInvalid},
		{"within=x", web.CertificateFilter{}, web.ErrInvalid},
		{"within=7&device=d", web.CertificateFilter{}, web.ErrInvalid},
		{"within=7&key=d", web.CertificateFilter{}, web.ErrInvalid},
	} {
		q, err := url.ParseQuery(tt.query)
		if err != nil {
			t.Fatal(err)
		}
		got, err := web.ParseCertificateFilter(q)
		if !errors.Is(err, tt.err) || err == nil && got != tt.want {
			t.Errorf("%q: %+v, %v, want %+v, %v", tt.query, got, err, tt.want, tt.err)
		}
	}
}
