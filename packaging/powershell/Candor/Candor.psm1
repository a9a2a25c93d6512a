# Candor for PowerShell: a thin layer over `agentctl --json`. Every fact comes from the agent; this file
# only names parameters, and turns JSON into objects.

Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'

# Runs agentctl and gives back its JSON as objects; its message becomes the error.
function Invoke-AgentControl {
    param(
        [Parameter(Mandatory = $true)]
        [string[]] $Arguments,
        [string] $ComputerName
    )
    $run = {
        param([string[]] $Words)
        # Where errors stop a script, Windows PowerShell would stop at agentctl's first word of warning.
        $ErrorActionPreference = 'Continue'
        $program = Join-Path $env:ProgramFiles 'Candor\agentctl.exe'
        if (-not (Test-Path -LiteralPath $program)) {
            throw "There is no $program. Install the agent first."
        }
        $said = & $program @Words '--json' 2>&1
        $code = $LASTEXITCODE
        $errors = @($said | Where-Object { $_ -is [System.Management.Automation.ErrorRecord] })
        $lines = @($said | Where-Object { $_ -isnot [System.Management.Automation.ErrorRecord] })
        [pscustomobject]@{
            Code   = $code
            Lines  = [string[]] $lines
            Errors = [string[]] @($errors | ForEach-Object { $_.ToString() })
        }
    }
    if ($ComputerName) {
        $answer = Invoke-Command -ComputerName $ComputerName -ScriptBlock $run -ArgumentList (, $Arguments)
    }
    else {
        $answer = & $run $Arguments
    }
    if ($answer.Code -ne 0 -and $answer.Lines.Count -eq 0) {
        throw ($answer.Errors -join [Environment]::NewLine)
    }
    $answer.Lines | ForEach-Object { ConvertFrom-Json -InputObject $_ }
}

<#
.SYNOPSIS
Turns telemetry on or off.
.DESCRIPTION
With -Disable nothing is collected and nothing leaves this host, not even a DNS query. What waits is deleted, unless
-KeepPending is given. With -Enable collection begins again at the level that holds.
.PARAMETER Enable
Turn telemetry on.
.PARAMETER Disable
Turn telemetry off.
.PARAMETER KeepPending
Keep what waits for the next -Enable.
.PARAMETER AsJob
Do it in the background and return a job.
.PARAMETER ComputerName
Do it on that computer, by PowerShell remoting.
.EXAMPLE
Set-Telemetry -Disable
#>
function Set-Telemetry {
    [CmdletBinding(SupportsShouldProcess = $true, ConfirmImpact = 'Medium', DefaultParameterSetName = 'Enable')]
    param(
        [Parameter(Mandatory = $true, ParameterSetName = 'Enable')]
        [switch] $Enable,
        [Parameter(Mandatory = $true, ParameterSetName = 'Disable')]
        [switch] $Disable,
        [Parameter(ParameterSetName = 'Disable')]
        [switch] $KeepPending,
        [switch] $AsJob,
        [string] $ComputerName
    )
    $target = 'this computer'
    if ($ComputerName) {
        $target = $ComputerName
    }
    $arguments = @('enable')
    if ($Disable) {
        $arguments = @('disable')
        if ($KeepPending) {
            $arguments = @('disable', '--keep-pending')
        }
    }
    if (-not $PSCmdlet.ShouldProcess($target, "telemetry: $($arguments -join ' ')")) {
        return
    }
    if ($AsJob) {
        $module = Join-Path $PSScriptRoot 'Candor.psd1'
        $forward = @{}
        foreach ($name in $PSBoundParameters.Keys) {
            if ($name -ne 'AsJob') {
                $forward[$name] = $PSBoundParameters[$name]
            }
        }
        Start-Job -ScriptBlock {
            param($Module, $Forward)
            Import-Module $Module
            Set-Telemetry @Forward
        } -ArgumentList $module, $forward
        return
    }
    Invoke-AgentControl -Arguments $arguments -ComputerName $ComputerName
}

<#
.SYNOPSIS
Level and reason, upload and remedy, ledger, spool, probes, cost.
.PARAMETER ComputerName
Ask that computer.
.EXAMPLE
(Get-Telemetry).events
#>
function Get-Telemetry {
    [CmdletBinding()]
    param([string] $ComputerName)
    Invoke-AgentControl -Arguments @('status') -ComputerName $ComputerName
}

<#
.SYNOPSIS
Sets the level: 0 Security, 1 Basic, 2 Enhanced, 3 Full.
.DESCRIPTION
Lowering deletes what waits above the new level. Where policy would not let the level hold, nothing is written and
the command fails.
.PARAMETER Level
0-3, or Security, Basic, Enhanced, Full.
.PARAMETER For
Fall back by itself after this time, such as 90m or 24h.
.PARAMETER Reason
Why; kept on the computer, never sent.
.PARAMETER ComputerName
Do it on that computer.
.EXAMPLE
Set-TelemetryLevel -Level Full -For 24h -Reason 'case 4711'
#>
function Set-TelemetryLevel {
    [CmdletBinding(SupportsShouldProcess = $true)]
    param(
        [Parameter(Mandatory = $true, Position = 0)]
        [ValidateSet('0', '1', '2', '3', 'Security', 'Basic', 'Enhanced', 'Full')]
        [string] $Level,
        [string] $For,
        [string] $Reason,
        [string] $ComputerName
    )
    $target = 'this computer'
    if ($ComputerName) {
        $target = $ComputerName
    }
    if (-not $PSCmdlet.ShouldProcess($target, "set the telemetry level to $Level")) {
        return
    }
    $arguments = @('set-level', $Level.ToLowerInvariant())
    if ($For) {
        $arguments += @('--for', $For)
    }
    if ($Reason) {
        $arguments += @('--reason', $Reason)
    }
    Invoke-AgentControl -Arguments $arguments -ComputerName $ComputerName
}

<#
.SYNOPSIS
Every layer with its place, its value and its verdict; which one decides, and why.
.PARAMETER ComputerName
Ask that computer.
.EXAMPLE
(Get-TelemetryPolicy).layers
#>
function Get-TelemetryPolicy {
    [CmdletBinding()]
    param([string] $ComputerName)
    Invoke-AgentControl -Arguments @('explain') -ComputerName $ComputerName
}

<#
.SYNOPSIS
Tests the way to the endpoint: policy, store, clock, DNS, TLS, pin, endpoint; each with a remedy.
.PARAMETER ComputerName
Test from that computer.
#>
function Test-Telemetry {
    [CmdletBinding()]
    param([string] $ComputerName)
    Invoke-AgentControl -Arguments @('test') -ComputerName $ComputerName
}

<#
.SYNOPSIS
The events that would be sent at a level, field by field. Nothing is sent.
.PARAMETER Level
0-3; else the level that holds.
.PARAMETER Name
Only events of this name; wildcards count.
.PARAMETER ComputerName
Ask that computer.
.EXAMPLE
Get-DiagnosticEvent -Level 1 -Name candor.device.*
#>
function Get-DiagnosticEvent {
    [CmdletBinding()]
    param(
        [ValidateRange(0, 3)]
        [int] $Level = -1,
        [string] $Name = '*',
        [string] $ComputerName
    )
    $arguments = @('preview')
    if ($PSBoundParameters.ContainsKey('Level')) {
        $arguments += @('--level', "$Level")
    }
    Invoke-AgentControl -Arguments $arguments -ComputerName $ComputerName | Where-Object { $_.name -like $Name }
}

Export-ModuleMember -Function 'Set-Telemetry', 'Get-Telemetry', 'Set-TelemetryLevel', 'Get-TelemetryPolicy', 'Test-Telemetry', 'Get-DiagnosticEvent'
