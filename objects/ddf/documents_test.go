package ddf_test

import (
	"encoding/xml"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"steward/objects"
	"steward/objects/ddf"
)

// documents are those of the three objects of the trust transfer, for makers of
// devices.
const documents = "../../docs/ddf/"

// TestDocuments compares the documents with the definitions that we work with.
func TestDocuments(t *testing.T) {
	for _, want := range objects.Definitions(objects.DefaultIDs) {
		text, err := os.ReadFile(fmt.Sprintf("%s%d.xml", documents, want.ID))
		if err != nil {
			t.Fatal(err)
		}
		got, err := ddf.Parse(text)
		if err != nil || len(got) != 1 {
			t.Fatalf("%d: %v, %v", want.ID, got, err)
		}
		for i := range got[0].Resources { // ranges stand in the documents alone
			got[0].Resources[i].Range = ""
		}
		if !reflect.DeepEqual(got[0], want) {
			t.Errorf("%d.xml says\n%+v, want\n%+v", want.ID, got[0], want)
		}
	}
}

// rules of LWM2M-v1_1.xsd: what may stand in an element. Its elements come in this
// order, each once.
var (
	objectRules = []rule{
		{"Name", `.+`},
		{"Description1", `(?s).+`},
		{"ObjectID", `\d{1,5}`},
		{"ObjectURN", `urn:oma:lwm2m:(oma|ext|x):\d{1,5}(:\d+\.\d+)?`},
		{"LWM2MVersion", `1\.[0-2]`},
		{"ObjectVersion", `\d+\.\d+`},
		{"MultipleInstances", `Multiple|Single`},
		{"Mandatory", `Mandatory|Optional`},
		{"Resources", `(?s).*`},
		{"Description2", `(?s).*`},
	}
	itemRules = []rule{
		{"Name", `.+`},
		{"Operations", `R|W|RW|E|`},
		{"MultipleInstances", `Multiple|Single`},
		{"Mandatory", `Mandatory|Optional`},
		{"Type", `String|Integer|Float|Boolean|Opaque|Time|Objlnk|Unsigned Integer|Corelnk|`},
		{"RangeEnumeration", `.*`},
		{"Units", `.*`},
		{"Description", `(?s).+`},
	}
)

type rule struct{ name, value string }

type node struct {
	XMLName  xml.Name
	Attrs    []xml.Attr `xml:",any,attr"`
	Text     string     `xml:",chardata"`
	Children []node     `xml:",any"`
}

// obeys checks the elements of one that has rules.
func (n node) obeys(t *testing.T, where string, rules []rule) {
	t.Helper()
	var names, want []string
	for _, c := range n.Children {
		names = append(names, c.XMLName.Local)
	}
	for _, r := range rules {
		want = append(want, r.name)
	}
	if !slices.Equal(names, want) {
		t.Fatalf("%s has %v, want %v", where, names, want)
	}
	for i, r := range rules {
		if text := strings.TrimSpace(n.Children[i].Text); !regexp.MustCompile(`^(` + r.value + `)$`).MatchString(text) {
			t.Errorf("%s: %s is %q", where, r.name, text)
		}
	}
}

// TestDocumentsObeyTheSchema holds the documents to the schema of OMA, and to what it
// cannot say: ids in the order of the document, once each; no type for what is
// executed, and one for everything else.
func TestDocumentsObeyTheSchema(t *testing.T) {
	for _, o := range objects.Definitions(objects.DefaultIDs) {
		name := fmt.Sprintf("%d.xml", o.ID)
		text, err := os.ReadFile(documents + name)
		if err != nil {
			t.Fatal(err)
		}
		var root node
		if err := xml.Unmarshal(text, &root); err != nil {
			t.Fatal(err)
		}
		object := root.Children[0]
		if root.XMLName.Local != "LWM2M" || len(root.Children) != 1 || object.Attrs[0].Value != "MODefinition" {
			t.Fatalf("%s: one Object of type MODefinition in LWM2M", name)
		}
		object.obeys(t, name, objectRules)
		last := -1
		for _, item := range object.Children[8].Children {
			var id int
			if _, err := fmt.Sscan(item.Attrs[0].Value, &id); err != nil || id <= last || item.Attrs[0].Name.Local != "ID" {
				t.Errorf("%s: Item %v after %d", name, item.Attrs, last)
			}
			last = id
			item.obeys(t, fmt.Sprintf("%s, Item %d", name, id), itemRules)
			if executed := item.Children[1].Text == "E"; executed != (item.Children[4].Text == "") {
				t.Errorf("%s: Item %d has operations %q and type %q", name, id, item.Children[1].Text, item.Children[4].Text)
			}
		}
	}
}
