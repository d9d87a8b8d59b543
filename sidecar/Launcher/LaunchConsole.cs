using Spectre.Console;

namespace DaprOrders.Sidecar.Launcher;

/// <summary>What the user sees: one line per event, coloured where the terminal can.</summary>
internal sealed class LaunchConsole
{
    private readonly IAnsiConsole _console;
    private readonly Lock _writing = new();

    public LaunchConsole(TextWriter? output = null)
    {
        _console = output is null
            ? AnsiConsole.Create(new AnsiConsoleSettings())
            : AnsiConsole.Create(new AnsiConsoleSettings { Ansi = AnsiSupport.No, Out = new AnsiConsoleOutput(output) });
        // Lines are the terminal's to wrap: a curl line must stay one line.
        _console.Profile.Width = 32_000;
    }

    public void Line(string text = "") => Write("", text);

    public void Good(string word, string text) => Write($"[green]{Markup.Escape(word)}[/] ", text);

    public void Warning(string text) => Write("[yellow]warning[/] ", text);

    public void Error(string text) => Write("[red]error[/] ", text);

    /// <summary>A line of an app's own output, marked as the Dapr CLI does.</summary>
    public void App(string appId, string line) => Write($"[blue]== APP - {Markup.Escape(appId)} ==[/] ", line);

    /// <summary>A line of a sidecar's log; null for what belongs to all of them.</summary>
    public void Sidecar(string? appId, string line) => Write($"[grey]== DAPR{Markup.Escape(appId is null ? "" : $" - {appId}")} ==[/] ", line);

    private void Write(string markup, string text)
    {
        lock (_writing)
        {
            if (markup.Length > 0)
                _console.Markup(markup);
            _console.WriteLine(text);
        }
    }
}
