namespace DaprOrders.Bench.Measuring;

/// <summary>Durations in milliseconds, or rates; for one writer at a time.</summary>
internal sealed class Samples
{
    private readonly List<double> _values = [];

    public int Count => _values.Count;

    public double Median => Percentile(0.5);

    public double Mean => _values.Count == 0 ? double.NaN : _values.Average();

    public static Samples Of(params IEnumerable<double> values)
    {
        var samples = new Samples();
        samples._values.AddRange(values);
        return samples;
    }

    public void Add(double value) => _values.Add(value);

    public void Add(Samples others) => _values.AddRange(others._values);

    /// <param name="part">0.5 is the median, 0.99 what 99 of 100 stay below.</param>
    public double Percentile(double part)
    {
        if (_values.Count == 0)
            return double.NaN;

        _values.Sort();
        var middle = part == 0.5 && _values.Count % 2 == 0;
        return middle
            ? (_values[(_values.Count / 2) - 1] + _values[_values.Count / 2]) / 2
            : _values[Math.Clamp((int)Math.Ceiling(part * _values.Count) - 1, 0, _values.Count - 1)];
    }
}
