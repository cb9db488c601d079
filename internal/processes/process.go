// Package processes keeps the programs of a laptop running in the background without one more program to watch them.
//
// What should run stands in a file of the run folder, and each of our own programs watches over all others there: when
// one ends unasked, whoever notices first starts it again. The kernel tells of an end at once (pidfd), nobody polls.
// A program bears the mark of what it was started from in its environment, so that a pid file left behind by a crash, or
// a pid that means somebody else by now, deceives no one.
package processes

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// mark is the environment variable by which a running program is recognised: PIDFILE:FINGERPRINT.
const mark = "MOCKUP_PROCESS"

// Process is a background program as it should run.
type Process struct {
	Name string   `json:"name"`
	Path string   `json:"path"`
	Args []string `json:"args"`
	// Inputs are files that the program reads once: another content of one is another process.
	Inputs []string `json:"inputs,omitempty"`
	// Grace is how long it may take to end when asked to.
	Grace time.Duration `json:"grace"`
	// Passive programs are foreign and watch over nobody.
	Passive bool `json:"passive,omitempty"`
}

// fingerprint changes when the program, its arguments or its inputs do.
func (p Process) fingerprint() (string, error) {
	hash := sha256.New()
	fmt.Fprintf(hash, "%q %q\n", p.Path, p.Args)
	info, err := os.Stat(p.Path)
	if err != nil {
		return "", fmt.Errorf("looking at the program of %s: %w", p.Name, err)
	}
	fmt.Fprintf(hash, "%d %d\n", info.Size(), info.ModTime().UnixNano())
	for _, file := range p.Inputs {
		content, err := os.ReadFile(file)
		if err != nil {
			return "", fmt.Errorf("reading an input of %s: %w", p.Name, err)
		}
		fmt.Fprintf(hash, "%q %d\n", file, len(content))
		hash.Write(content)
	}
	return hex.EncodeToString(hash.Sum(nil))[:16], nil
}

// Folder is where background programs are managed.
type Folder struct {
	// Run holds the list of what should run and the pid files. Only its owner may write there.
	Run string
	// Logs holds one file for each program.
	Logs string
	// Supervisor keeps programs in our place; nil where they watch over each other.
	Supervisor Supervisor
}

// Supervisor is somebody else who keeps programs running, through crashes and reboots, such as systemd.
type Supervisor interface {
	// Keeps tells whether the program name is the supervisor's.
	Keeps(name string) bool
	// Start has p run from now on, with the variable mark, NAME=VALUE, in its environment; one that runs is ended before.
	Start(ctx context.Context, p Process, mark string) error
	// Stop has the program name run no more, and returns when it has ended. It is no error if it did not run.
	Stop(ctx context.Context, name string) error
}

// Mark is the variable, NAME=VALUE, by which a program that is started as p says is recognised.
func (f Folder) Mark(p Process) (string, error) {
	fingerprint, err := p.fingerprint()
	if err != nil {
		return "", err
	}
	return mark + "=" + f.PIDFile(p.Name) + ":" + fingerprint, nil
}

// Claim writes the pid file of the program name when this process is it, for a supervisor starts programs again without
// telling. It does nothing in a process that bears no mark.
func (f Folder) Claim(name string) error {
	if !strings.HasPrefix(os.Getenv(mark), f.PIDFile(name)+":") {
		return nil
	}
	return replaceFile(f.PIDFile(name), []byte(strconv.Itoa(os.Getpid())+"\n"))
}

// PIDFile holds the pid of the program name, alone.
func (f Folder) PIDFile(name string) string { return filepath.Join(f.Run, name+".pid") }

// LogFile is where the program name writes its standard output and error.
func (f Folder) LogFile(name string) string { return filepath.Join(f.Logs, name+".log") }

func (f Folder) wantedFile() string { return filepath.Join(f.Run, "processes.json") }

// Wanted lists what should run.
func (f Folder) Wanted() ([]Process, error) {
	content, err := os.ReadFile(f.wantedFile())
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the list of processes: %w", err)
	}
	var wanted []Process
	if err := json.Unmarshal(content, &wanted); err != nil {
		return nil, fmt.Errorf("reading the list of processes in %s: %w", f.wantedFile(), err)
	}
	return wanted, nil
}

func (f Folder) writeWanted(wanted []Process) error {
	content, err := json.MarshalIndent(wanted, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding the list of processes: %w", err)
	}
	return replaceFile(f.wantedFile(), append(content, '\n'))
}

// replaceFile writes path in one step: a reader sees the old content or the new.
func replaceFile(path string, content []byte) error {
	next := path + ".new"
	if err := os.WriteFile(next, content, 0o600); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	if err := os.Rename(next, path); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}

// Running tells the pid of the program name, or 0 when it does not run.
func (f Folder) Running(name string) int {
	pid, _ := f.find(name)
	return pid
}

// find tells the pid of the program name and from which fingerprint it was started.
func (f Folder) find(name string) (pid int, fingerprint string) {
	content, err := os.ReadFile(f.PIDFile(name))
	if err != nil {
		return 0, ""
	}
	pid, err = strconv.Atoi(strings.TrimSpace(string(content)))
	if err != nil || pid <= 0 {
		return 0, ""
	}
	prefix := []byte(mark + "=" + f.PIDFile(name) + ":")
	for variable := range bytes.SplitSeq(environmentOf(pid), []byte{0}) {
		if rest, ok := bytes.CutPrefix(variable, prefix); ok {
			return pid, string(rest)
		}
	}
	return 0, ""
}

// environmentOf a process as it was started; empty if it is gone or somebody else's. While the process becomes another
// program (exec), it is empty, denied or cut off for an instant: it counts when it was read twice alike.
func environmentOf(pid int) []byte {
	folder := fmt.Sprintf("/proc/%d/", pid)
	var last []byte
	for range 100 {
		environment, err := os.ReadFile(folder + "environ")
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			return nil
		}
		if len(environment) > 0 && bytes.Equal(environment, last) {
			return environment
		}
		last = environment
		stat, err := os.ReadFile(folder + "stat")
		if err != nil || bytes.Contains(stat, []byte(") Z ")) { // ended, and its parent has not asked yet
			return nil
		}
		if len(environment) == 0 {
			time.Sleep(time.Millisecond)
		}
	}
	return nil
}

// start starts p in a session of its own, so that it outlives its starter and hears no Ctrl-C meant for that.
func (f Folder) start(p Process, fingerprint string) (int, error) {
	out, err := f.openLog(p.Name)
	if err != nil {
		return 0, err
	}
	defer out.Close()
	cmd := exec.Command(p.Path, p.Args...)
	cmd.Env = append(withoutMark(os.Environ()), mark+"="+f.PIDFile(p.Name)+":"+fingerprint)
	cmd.Dir = "/" // no folder of the user's is held
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return 0, fmt.Errorf("starting %s: %w", p.Name, err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }() // else it stays as a zombie for as long as we live
	if err := replaceFile(f.PIDFile(p.Name), []byte(strconv.Itoa(cmd.Process.Pid)+"\n")); err != nil {
		_ = cmd.Process.Kill()
		return 0, err
	}
	f.untilMarked(p.Name, ended)
	return cmd.Process.Pid, nil
}

// markTimeout bounds the instant in which a program that was just started does not show its environment yet.
const markTimeout = 5 * time.Second

// untilMarked returns when the program name can be recognised, or has ended: else the next to look would start a second.
func (f Folder) untilMarked(name string, ended <-chan struct{}) {
	for deadline := time.Now().Add(markTimeout); time.Now().Before(deadline); {
		select {
		case <-ended:
			return
		case <-time.After(time.Millisecond):
			if f.Running(name) != 0 {
				return
			}
		}
	}
}

func withoutMark(environment []string) []string {
	var kept []string
	for _, v := range environment {
		if !strings.HasPrefix(v, mark+"=") {
			kept = append(kept, v)
		}
	}
	return kept
}

// largestLog is the size beyond which a log is set aside at the next start; the one before that is dropped.
const largestLog = 8 << 20

func (f Folder) openLog(name string) (*os.File, error) {
	path := f.LogFile(name)
	if info, err := os.Stat(path); err == nil && info.Size() > largestLog {
		if err := os.Rename(path, path+".1"); err != nil {
			return nil, fmt.Errorf("setting a log aside: %w", err)
		}
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the log of %s: %w", name, err)
	}
	return file, nil
}

// LogTail is the end of the log of the program name, at most lines lines of it.
func (f Folder) LogTail(name string, lines int) string {
	content, err := os.ReadFile(f.LogFile(name))
	if err != nil {
		return ""
	}
	all := strings.Split(strings.TrimSpace(string(content)), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
