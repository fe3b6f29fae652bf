// Package readmes does what the READMEs tell a new user to do, in a new module
// beside a checkout, and builds and runs their programs. It needs a network. It
// imports none of the modules.
//
// A README tells it by this convention, after the heading "## Install", or another one:
//
//   - The first ```go block is a whole program. It becomes main.go.
//   - The ```sh blocks between the heading and that program are the commands. They
//     run in the module's directory, where ../memstreamer is the checkout.
//
// Before the commands, the test does go mod init. After them, it does go build.
package readmes

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// checkout is the root of the repository.
const checkout = "../.."

func TestREADMEs(t *testing.T) {
	if testing.Short() {
		t.Skip("downloads modules")
	}
	for _, test := range []struct {
		module  string
		heading string // Install, if empty
		serves  string // a URL that the program serves until it is killed; others have to end
	}{
		{module: "."},
		{module: "metrics", serves: "http://127.0.0.1:8080/metrics"},
		{module: "luno"},
		{module: "luno", heading: "One file"},
		{module: "jetstream"},
		{module: "sqlite"},
		{module: "watermill"},
	} {
		heading := cmp.Or(test.heading, "Install")
		t.Run(test.module+", "+heading, func(t *testing.T) {
			readme, err := os.ReadFile(filepath.Join(checkout, test.module, "README.md"))
			if err != nil {
				t.Fatal(err)
			}
			output, err := follow(t, string(readme), heading, test.serves)
			if err != nil {
				t.Fatalf("%s/README.md, %s: %v\n%s", test.module, heading, err, output)
			}
			t.Logf("%s", output)
		})
	}
}

// follow does what a README tells after a heading. It returns the program's output, or that of
// the command that failed.
func follow(t *testing.T, readme, heading, serves string) (output []byte, err error) {
	commands, program, err := section(readme, heading)
	if err != nil {
		return nil, err
	}
	root, err := filepath.Abs(checkout)
	if err != nil {
		return nil, err
	}
	parent := t.TempDir()
	dir := filepath.Join(parent, "app")
	if err := errors.Join(
		os.Symlink(root, filepath.Join(parent, "memstreamer")),
		os.Mkdir(dir, 0o700),
		os.WriteFile(filepath.Join(dir, "main.go"), []byte(program), 0o600),
	); err != nil {
		return nil, err
	}
	script := "go mod init example.com/app\n" + commands + "go build -o main .\n"
	if output, err = command(t.Context(), dir, "sh", "-ex", "-c", script).CombinedOutput(); err != nil {
		return output, err
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	main := command(ctx, dir, "./main")
	if serves == "" {
		output, err = main.CombinedOutput()
	} else {
		output, err = get(ctx, main, serves)
	}
	if err != nil {
		err = fmt.Errorf("the program: %w", err)
	}
	return output, err
}

func command(ctx context.Context, dir, name string, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, name, args...)
	c.Dir = dir
	c.Env = append(os.Environ(), "GOWORK=off")
	return c
}

// get starts a server, asks it for url until it answers, and kills it.
func get(ctx context.Context, server *exec.Cmd, url string) (output []byte, err error) {
	var buffer bytes.Buffer
	server.Stdout, server.Stderr = &buffer, &buffer
	if err := server.Start(); err != nil {
		return nil, err
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Wait() }()
	for {
		response, err := http.Get(url)
		select {
		case waitErr := <-ended: // whoever has answered, it was not this one
			return buffer.Bytes(), errors.Join(fmt.Errorf("it ended, and serves no %s", url), waitErr, ctx.Err())
		case <-time.After(100 * time.Millisecond):
		}
		if err != nil {
			continue
		}
		response.Body.Close()
		killErr := server.Process.Kill()
		<-ended
		if response.StatusCode != http.StatusOK {
			return buffer.Bytes(), fmt.Errorf("%s answers %s", url, response.Status)
		}
		return buffer.Bytes(), killErr
	}
}

// fenced is a block of code in Markdown: its language and its lines.
var fenced = regexp.MustCompile("(?ms)^```(.*?)\n(.*?)^```$")

// section returns the commands and the program of a README's section.
func section(readme, heading string) (commands, program string, err error) {
	_, section, found := strings.Cut("\n"+readme, "\n## "+heading+"\n")
	if !found {
		return "", "", fmt.Errorf(`there is no heading "## %s"`, heading)
	}
	for _, block := range fenced.FindAllStringSubmatch(section, -1) {
		switch language, text := block[1], block[2]; {
		case language == "sh":
			commands += text
		case language != "go":
		case commands == "":
			return "", "", errors.New(`there are no commands in a block "sh" before the program`)
		case !strings.HasPrefix(text, "package main\n"):
			return "", "", errors.New(`the program does not begin with "package main"`)
		default:
			return commands, text, nil
		}
	}
	return "", "", fmt.Errorf(`there is no program in a block "go" after the heading "## %s"`, heading)
}

// What the test does is itself tested: on a README that tells what works, and on
// READMEs that tell what does not.
func TestWhatFailsIsFound(t *testing.T) {
	const good = "# x\n\n```go\nanything\n```\n\n## Install\n\nHere:\n\n```sh\n" +
		"go mod edit -require github.com/memstreamer/memstreamer@v0.1.0 \\\n" +
		"  -replace github.com/memstreamer/memstreamer=../memstreamer\n```\n\n```\nnonsense\n```\n\n## Use\n\n```go\n" +
		"package main\n\nimport \"github.com/memstreamer/memstreamer\"\n\n" +
		"func main() {\n\tif memstreamer.New().Close() == nil {\n\t\tprintln(\"closed\")\n\t}\n}\n```\n"
	for name, test := range map[string]struct{ old, new, want string }{
		"nothing":            {"", "", ""},
		"no heading":         {"## Install", "## Use it", `there is no heading "## Install"`},
		"no commands":        {"```sh", "```", `there are no commands in a block "sh" before the program`},
		"no program":         {"```go\npackage", "```\npackage", `there is no program in a block "go" after the heading "## Install"`},
		"a fragment":         {"package main\n\n", "", `the program does not begin with "package main"`},
		"no end":             {"}\n}\n```\n", "}\n}\n", `there is no program in a block "go" after the heading "## Install"`},
		"a failing command":  {"go mod edit", "false; go mod edit", "exit status 1"},
		"another module":     {"=../memstreamer", "=../elsewhere", "exit status 1"},
		"does not compile":   {"New()", "Now()", "undefined: memstreamer.Now"},
		"does not run":       {"println(\"closed\")", "panic(\"closed\")", "the program: exit status 2"},
		"serves what it has": {"println(\"closed\")", "", "it ended, and serves no http://127.0.0.1:9/"},
	} {
		t.Run(name, func(t *testing.T) {
			serves := ""
			if name == "serves what it has" {
				serves = "http://127.0.0.1:9/"
			}
			output, err := follow(t, strings.Replace(good, test.old, test.new, 1), "Install", serves)
			if err == nil && (test.want != "" || string(output) != "closed\n") {
				t.Fatalf("no error, and the program wrote %q", output)
			}
			if err != nil && (test.want == "" || !strings.Contains(err.Error()+string(output), test.want)) {
				t.Fatalf("got the error %v, and want one with %q\n%s", err, test.want, output)
			}
		})
	}
}
