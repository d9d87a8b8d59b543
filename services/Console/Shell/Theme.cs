using MudBlazor;

namespace DaprOrders.Console.Shell;

/// <summary>What MudBlazor's components take; colours come from console.css, in which light and dark are one file.</summary>
internal static class Theme
{
    private static readonly string[] Fonts = ["Inter", "ui-sans-serif", "system-ui", "-apple-system", "Segoe UI", "Roboto", "Liberation Sans", "sans-serif"];

    public static MudTheme Calm { get; } = new()
    {
        PaletteLight = new PaletteLight { Primary = "#0b6456", Secondary = "#4a5a6a", Background = "#f5f6f3", Surface = "#ffffff", TextPrimary = "#1b2430" },
        LayoutProperties = new LayoutProperties { DefaultBorderRadius = "10px" },
        Typography = new Typography
        {
            Default = new DefaultTypography { FontFamily = Fonts, FontSize = "0.875rem", LineHeight = "1.45", LetterSpacing = "normal" },
            Button = new ButtonTypography { TextTransform = "none", FontWeight = "600", LetterSpacing = "normal" },
        },
    };
}
