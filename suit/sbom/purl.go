package sbom

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// A purl is a package URL (ECMA-427) as far as it tells packages apart.
type purl struct {
	key     string // type, namespace and name
	version string // "" if it names all
}

// foldedTypes are the types of packages whose names have no case.
var foldedTypes = []string{
	"alpm", "apk", "bitbucket", "composer", "deb", "github", "golang", "hex", "npm", "oci", "pypi", "rpm",
}

// parsePURL reads pkg:type/namespace/name@version?qualifiers#subpath. Qualifiers
// and subpath are dropped. It returns ErrSyntax.
func parsePURL(text string) (purl, error) {
	rest, ok := strings.CutPrefix(text, "pkg:")
	if !ok || len(text) > maxName {
		return purl{}, fmt.Errorf("%w: package URL %.60q", ErrSyntax, text)
	}
	rest, _, _ = strings.Cut(rest, "#")
	rest, _, _ = strings.Cut(rest, "?")
	rest = strings.Trim(rest, "/")
	var version string
	if at := strings.LastIndexByte(rest, '@'); at > strings.LastIndexByte(rest, '/') {
		rest, version = rest[:at], rest[at+1:]
	}
	kind, path, ok := strings.Cut(rest, "/")
	kind = strings.ToLower(kind)
	if !ok || kind == "" || path == "" {
		return purl{}, fmt.Errorf("%w: package URL %.60q", ErrSyntax, text)
	}
	for _, part := range []*string{&path, &version} {
		plain, err := url.PathUnescape(*part)
		if err != nil {
			return purl{}, fmt.Errorf("%w: package URL %.60q", ErrSyntax, text)
		}
		*part = plain
	}
	return purl{key: packageKey(kind, path), version: version}, nil
}

// packageKey identifies a package whatever its version.
func packageKey(kind, path string) string {
	if slices.Contains(foldedTypes, kind) {
		path = strings.ToLower(path)
	}
	if kind == "pypi" {
		path = strings.ReplaceAll(path, "_", "-")
	}
	return kind + "/" + path
}

// ecosystems maps the names of OSV to types of package URLs; a namespace comes with
// some. It is never changed.
var ecosystems = map[string]string{
	"Go": "golang", "npm": "npm", "PyPI": "pypi", "crates.io": "cargo", "RubyGems": "gem", "NuGet": "nuget",
	"Packagist": "composer", "Maven": "maven", "Hex": "hex", "Pub": "pub", "ConanCenter": "conan",
	"Debian": "deb/debian", "Ubuntu": "deb/ubuntu", "Alpine": "apk/alpine", "GitHub Actions": "github",
	"OSS-Fuzz": "generic",
}

// ecosystemKey returns the key of a package that OSV names by its ecosystem, "" if
// the ecosystem is not known. A suffix such as that of "Debian:12" is dropped.
func ecosystemKey(ecosystem, name string) string {
	ecosystem, _, _ = strings.Cut(ecosystem, ":")
	kind, ok := ecosystems[ecosystem]
	if !ok || name == "" {
		return ""
	}
	if ecosystem == "Maven" {
		name = strings.ReplaceAll(name, ":", "/")
	}
	kind, namespace, _ := strings.Cut(kind, "/")
	if namespace != "" {
		name = namespace + "/" + name
	}
	return packageKey(kind, name)
}
