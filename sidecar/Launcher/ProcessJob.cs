using System.ComponentModel;
using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Runtime.Versioning;
using Microsoft.Win32.SafeHandles;

namespace DaprOrders.Sidecar.Launcher;

/// <summary>
/// A job object of Windows, as the Dapr CLI has one: a process and all that it starts end with it, also when this process is killed, since the system
/// then closes the handle. On other platforms <see cref="ProcessTree"/> finds the descendants, and <see cref="Guard"/> outlives the launcher.
/// </summary>
[SupportedOSPlatform("windows")]
internal sealed partial class ProcessJob : SafeHandleZeroOrMinusOneIsInvalid
{
    private const int ExtendedLimitInformation = 9;
    private const uint KillOnClose = 0x2000;

    public ProcessJob()
        : base(ownsHandle: true)
    {
    }

    /// <summary>Null where the system does not allow it, as inside a job that forbids others: the tree is then ended by its processes' parents.</summary>
    public static ProcessJob? Around(Process process)
    {
        var job = CreateJobObject(0, null);
        var limits = new Limits { LimitFlags = KillOnClose };
        try
        {
            if (!job.IsInvalid
                && SetInformationJobObject(job, ExtendedLimitInformation, ref limits, Marshal.SizeOf<Limits>())
                && AssignProcessToJobObject(job, process.SafeHandle))
            {
                return job;
            }
        }
        catch (Exception e) when (e is InvalidOperationException or Win32Exception)
        {
            // It has ended already.
        }

        job.Dispose();
        return null;
    }

    protected override bool ReleaseHandle() => CloseHandle(handle);

    [LibraryImport("kernel32", EntryPoint = "CreateJobObjectW", StringMarshalling = StringMarshalling.Utf16)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    private static partial ProcessJob CreateJobObject(nint attributes, string? name);

    [LibraryImport("kernel32")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    [return: MarshalAs(UnmanagedType.Bool)]
    private static partial bool SetInformationJobObject(ProcessJob job, int informationClass, ref Limits information, int length);

    [LibraryImport("kernel32")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    [return: MarshalAs(UnmanagedType.Bool)]
    private static partial bool AssignProcessToJobObject(ProcessJob job, SafeProcessHandle process);

    [LibraryImport("kernel32")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    [return: MarshalAs(UnmanagedType.Bool)]
    private static partial bool CloseHandle(nint handle);

    /// <summary>JOBOBJECT_EXTENDED_LIMIT_INFORMATION.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct Limits
    {
        public long PerProcessUserTimeLimit;
        public long PerJobUserTimeLimit;
        public uint LimitFlags;
        public nuint MinimumWorkingSetSize;
        public nuint MaximumWorkingSetSize;
        public uint ActiveProcessLimit;
        public nuint Affinity;
        public uint PriorityClass;
        public uint SchedulingClass;
        public ulong ReadOperationCount;
        public ulong WriteOperationCount;
        public ulong OtherOperationCount;
        public ulong ReadTransferCount;
        public ulong WriteTransferCount;
        public ulong OtherTransferCount;
        public nuint ProcessMemoryLimit;
        public nuint JobMemoryLimit;
        public nuint PeakProcessMemoryUsed;
        public nuint PeakJobMemoryUsed;
    }
}
