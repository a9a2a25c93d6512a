@{
    RootModule        = 'Candor.psm1'
    ModuleVersion     = '0.1.0'
    GUID              = '5f0c2b1e-0d2f-4d0a-9d1c-6f1b7a6f3c52'
    Author            = 'The Candor authors'
    CompanyName       = 'Candor'
    Copyright         = '(c) The Candor authors. MIT OR Apache-2.0.'
    Description       = 'See and steer the Candor telemetry agent.'
    PowerShellVersion = '5.1'
    FunctionsToExport = @(
        'Set-Telemetry'
        'Get-Telemetry'
        'Set-TelemetryLevel'
        'Get-TelemetryPolicy'
        'Test-Telemetry'
        'Get-DiagnosticEvent'
    )
    CmdletsToExport   = @()
    VariablesToExport = @()
    AliasesToExport   = @()
}
